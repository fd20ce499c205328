"""The query language, as the Python client sends it, on rows that the tests made themselves."""

import unittest

import arrow
import ftrack_api

from support import Case

# name, bid, description, start, done
ROWS = [
    ("alpha", 1.0, "first \"one\"", "2026-01-10T08:00:00", True),
    ("beta", 2.0, "it's second", "2026-02-10T08:00:00", False),
    ("Gamma", 3.0, None, "2026-03-10T08:00:00", False),
    ("delta_1", 4.0, "100% sure", None, True),
    ("épsilon", 5.5, "ünï → 漢字 \U0001f600", "2026-05-10T23:59:59", False),
    ("zeta and or", 6.0, "back\\slash", "2026-06-10T00:00:00", True),
]


class Operators(Case):
    @classmethod
    def prepare(cls):
        session = cls.session
        cls.sequence = session.create("Sequence", {"name": "sq", "parent": cls.project})
        cls.empty = session.create("Sequence", {"name": "empty", "parent": cls.project})
        cls.shot = session.create("Shot", {"name": "sh", "parent": cls.sequence})
        session.commit()
        statuses = cls.schema.get_statuses("Task")
        cls.on, cls.off = statuses[0], statuses[1]
        cls.tasks = {}
        for name, bid, description, start, is_on in ROWS:
            cls.tasks[name] = session.create(
                "Task",
                {
                    "name": name,
                    "parent": cls.shot,
                    "bid": bid,
                    "description": description,
                    "start_date": arrow.get(start) if start else None,
                    "status": cls.on if is_on else cls.off,
                },
            )
        session.commit()
        # A description that is not given becomes an empty text; one that is taken away is none.
        cls.tasks["Gamma"]["description"] = None
        alpha, beta = cls.tasks["alpha"], cls.tasks["beta"]
        for context, duration in ((alpha, 60), (alpha, 120), (beta, 600)):
            session.create(
                "Timelog",
                {
                    "user": cls.user,
                    "context": context,
                    "duration": duration,
                    "start": arrow.get("2026-01-11T10:00:00"),
                },
            )
        for task, kind in ((alpha, "assignment"), (beta, "assignment"), (beta, "allocation")):
            session.create("Appointment", {"context": task, "resource": cls.user, "type": kind})
        alpha["metadata"]["grade"] = "A"
        beta["metadata"]["grade"] = "B"
        beta["metadata"]["other"] = "A"
        cls.asset = session.create("Asset", {"name": "plate", "parent": cls.shot})
        cls.versions = [
            session.create("AssetVersion", {"asset": cls.asset, "task": alpha, "comment": f"v{n}"})
            for n in range(3)
        ]
        session.commit()

    def found(self, criteria, order="bid"):
        order = f" order by {order}" if order else ""
        return self.names(f'select name from Task where parent_id is "{self.shot["id"]}" and ({criteria}){order}')

    def same(self, *criteria):
        """What the first criterion finds, after checking that the others find the same."""
        first = self.found(criteria[0])
        for criterion in criteria[1:]:
            self.assertEqual(self.found(criterion), first, criterion)
        return first

    def test_is_and_equals(self):
        self.assertEqual(self.same('name is "alpha"', "name = 'alpha'", "name is alpha", 'name="alpha"'), ["alpha"])

    def test_is_not(self):
        rest = ["beta", "Gamma", "delta_1", "épsilon", "zeta and or"]
        self.assertEqual(self.same('name is_not "alpha"', 'name != "alpha"', 'not name is "alpha"'), rest)

    def test_text_compares_without_regard_to_case(self):
        self.assertEqual(self.same('name is "gamma"', 'name is "GAMMA"', "name like 'GAM%'", "name in (gamma)"), ["Gamma"])

    def test_greater_and_less(self):
        self.assertEqual(self.same("bid > 4", "bid greater_than 4", 'bid > "4"'), ["épsilon", "zeta and or"])
        self.assertEqual(self.same("bid < 2", "bid less_than 2"), ["alpha"])
        self.assertEqual(self.found("bid >= 5.5"), ["épsilon", "zeta and or"])
        self.assertEqual(self.found("bid <= 2.0"), ["alpha", "beta"])
        self.assertEqual(self.found("bid > 2 and bid < 5.5"), ["Gamma", "delta_1"])

    def test_in_and_not_in(self):
        self.assertEqual(
            self.same('name in ("alpha", "beta")', "name in (alpha,beta)", "name in ('beta' , 'alpha', nobody)"),
            ["alpha", "beta"],
        )
        self.assertEqual(self.found("name not_in (alpha, beta, gamma)"), ["delta_1", "épsilon", "zeta and or"])
        self.assertEqual(self.found("bid in (1, 5.5)"), ["alpha", "épsilon"])

    def test_like_and_not_like(self):
        self.assertEqual(self.found('name like "%eta%"'), ["beta", "zeta and or"])
        self.assertEqual(self.found('name like "alph_"'), ["alpha"])
        self.assertEqual(self.found('name not_like "%a%"'), ["épsilon"])

    def test_and_binds_tighter_than_or(self):
        loose = self.found("name is alpha or name is beta and bid > 5")
        self.assertEqual(loose, ["alpha"])
        self.assertEqual(self.found("(name is alpha or name is beta) and bid < 5"), ["alpha", "beta"])
        self.assertEqual(self.found("bid > 5 and name is alpha or name is beta"), ["beta"])

    def test_not_in_front_of_parentheses(self):
        self.assertEqual(self.found("not (bid > 1 or name is nobody)"), ["alpha"])
        self.assertEqual(self.found("not (not (bid = 1))"), ["alpha"])
        self.assertEqual(self.found("bid > 4 and not name is épsilon"), ["zeta and or"])

    def test_deep_parentheses(self):
        self.assertEqual(self.found("(" * 40 + "bid is 1" + ")" * 40), ["alpha"])

    def test_none(self):
        self.assertEqual(self.same("start_date is none", "start_date is None", "start_date = null"), ["delta_1"])
        self.assertEqual(len(self.found("start_date is_not none")), 5)
        self.assertEqual(self.found("description is none"), ["Gamma"])
        self.assertEqual(self.found("thumbnail is none and bid is 1"), ["alpha"])

    def test_quotes_and_backslashes(self):
        self.assertEqual(self.found('description is "first \\"one\\""'), ["alpha"])
        self.assertEqual(self.found("description is 'first \"one\"'"), ["alpha"])
        self.assertEqual(self.found('description is "it\'s second"'), ["beta"])
        self.assertEqual(self.found("description is 'it\\'s second'"), ["beta"])
        self.assertEqual(self.found('description is "back\\\\slash"'), ["zeta and or"])
        self.assertEqual(self.found('description like "%100\\%%" or description is "100% sure"'), ["delta_1"])

    def test_unicode(self):
        self.assertEqual(self.found('name is "épsilon"'), ["épsilon"])
        self.assertEqual(self.found('description like "%漢字%"'), ["épsilon"])
        self.assertEqual(self.found('description like "%\U0001f600"'), ["épsilon"])

    def test_words_of_the_language_inside_of_quotes(self):
        self.assertEqual(self.found('name is "zeta and or"'), ["zeta and or"])
        self.assertEqual(self.found('name is ") or (1 is 1"'), [])

    def test_dates(self):
        self.assertEqual(self.same('start_date < "2026-02-01"', 'start_date before "2026-02-01"'), ["alpha"])
        self.assertEqual(
            self.same('start_date > "2026-05-01"', 'start_date after "2026-05-01"'), ["épsilon", "zeta and or"]
        )
        self.assertEqual(self.found('start_date is "2026-02-10T08:00:00"'), ["beta"])
        self.assertEqual(self.found('start_date >= "2026-06-10"'), ["zeta and or"])
        self.assertEqual(self.found('start_date > "2026-06-10"'), [])
        self.assertEqual(self.found('start_date >= "2026-02-10T10:00:00+02:00" and start_date < "2026-02-11"'), ["beta"])
        self.assertEqual(self.found(f'start_date > "{arrow.get("2026-05-10T23:59:58")}" and bid < 6'), ["épsilon"])

    def test_booleans(self):
        expression = 'AssetVersion where asset_id is "{}" and {}'.format(self.asset["id"], "{}")
        for true, false in (("True", "False"), ("true", "false"), ('"true"', '"false"')):
            self.assertEqual(len(self.session.query(expression.format(f"is_published is {true}")).all()), 3)
            self.assertEqual(len(self.session.query(expression.format(f"is_published is {false}")).all()), 0)
        latest = self.session.query(expression.format("is_latest_version is True")).one()
        self.assertEqual(latest["comment"], "v2")

    def test_paths_through_references(self):
        self.assertEqual(self.found(f'status.name is "{self.on["name"]}"'), ["alpha", "delta_1", "zeta and or"])
        self.assertEqual(self.found(f'status.state.short is "{self.off["state"]["short"]}" and status_id is "{self.off["id"]}"'),
                         ["beta", "Gamma", "épsilon"])
        self.assertEqual(len(self.found("parent.parent.name is sq")), 6)
        self.assertEqual(len(self.found(f'project.name is "{self.project["name"]}"')), 6)
        self.assertEqual(len(self.found("parent.name is nobody")), 0)

    def test_paths_through_collections(self):
        self.assertEqual(self.found("timelogs.duration > 100"), ["alpha", "beta"])
        self.assertEqual(self.found("timelogs.duration is 60"), ["alpha"])
        self.assertEqual(self.found(f'appointments.resource.id is "{self.user["id"]}" and appointments.type is allocation'), ["beta"])

    def test_has(self):
        self.assertEqual(self.found(f'status has (name is "{self.on["name"]}" and id is_not "{self.off["id"]}")'),
                         ["alpha", "delta_1", "zeta and or"])
        self.assertEqual(len(self.found('not parent has (name is "sh")')), 0)

    def test_any(self):
        self.assertEqual(self.found("timelogs any (duration > 100 and duration < 200)"), ["alpha"])
        self.assertEqual(self.found("timelogs any ()"), ["alpha", "beta"])
        self.assertEqual(self.found("not timelogs any ()"), ["Gamma", "delta_1", "épsilon", "zeta and or"])
        self.assertEqual(self.found(f'assignments any (resource.username is "{self.user["username"]}")'), ["alpha", "beta"])
        self.assertEqual(self.found(f'allocations any (resource_id is "{self.user["id"]}")'), ["beta"])

    def test_any_is_about_one_element_and_paths_are_not(self):
        self.assertEqual(self.found('metadata any (key is "grade" and value is "A")'), ["alpha"])
        self.assertEqual(self.found("metadata any (key=grade and value=A)"), ["alpha"])
        self.assertEqual(self.found("metadata.key is grade and metadata.value is A"), ["alpha", "beta"])

    def test_subselects(self):
        inner = f'select id from Task where parent_id is "{self.shot["id"]}" and bid > 5'
        self.assertEqual(self.found(f"id in ({inner})"), ["épsilon", "zeta and or"])
        self.assertEqual(self.found(f"id not_in ({inner})"), ["alpha", "beta", "Gamma", "delta_1"])
        self.assertEqual(self.found("id in (select context_id from Timelog where duration is 600)"), ["beta"])
        self.assertEqual(len(self.found(f"parent_id in (select id from {self.kind('Shot')} where name is sh)")), 6)

    def test_casts(self):
        self.assertEqual(len(self.found(f'parent[{self.kind("Shot")}].name is "sh"')), 6)
        self.assertEqual(len(self.found(f'parent[{self.kind("Sequence")}].name is "sh"')), 0)
        row = self.session.query(
            f'select parent[{self.kind("Shot")}].name, project[Project].full_name from Task where id is "{self.tasks["alpha"]["id"]}"'
        ).one()
        self.assertEqual(row["parent"]["name"], "sh")

    def test_polymorphic_types_name_the_concrete_one(self):
        expression = f'select name from TypedContext where project_id is "{self.project["id"]}"'
        kinds = {}
        for entity in self.session.query(expression):
            kinds[entity.entity_type] = kinds.get(entity.entity_type, 0) + 1
        self.assertEqual(kinds, {self.kind("Sequence"): 2, self.kind("Shot"): 1, "Task": 6})
        contexts = self.session.query(f'Context where id in ("{self.project["id"]}", "{self.shot["id"]}")').all()
        self.assertEqual({entity.entity_type for entity in contexts}, {"Project", self.kind("Shot")})

    def test_ordering(self):
        every = "bid > 0"
        self.assertEqual(self.found(every, "bid descending")[:2], ["zeta and or", "épsilon"])
        self.assertEqual(self.found(every, "bid desc")[0], "zeta and or")
        self.assertEqual(self.found(every, "bid ascending")[0], "alpha")
        self.assertEqual(self.found(every, "bid asc")[0], "alpha")
        self.assertEqual(
            self.found(every, "status_id, bid descending"),
            sorted((n for n, *_ in ROWS), key=lambda n: (self.tasks[n]["status_id"], -self.tasks[n]["bid"])),
        )
        self.assertEqual(self.found("timelogs any () ", "parent.name, name descending"), ["beta", "alpha"])

    def test_offset_and_limit(self):
        base = f'select name from Task where parent_id is "{self.shot["id"]}" order by bid'
        self.assertEqual(self.names(base + " limit 2"), ["alpha", "beta"])
        self.assertEqual(self.names(base + " offset 4 limit 10"), ["épsilon", "zeta and or"])
        self.assertEqual(self.names(base + " offset 1 limit 1"), ["beta"])
        self.assertEqual(self.names(base + " offset 6 limit 5"), [])

    def test_pages_are_fetched_on_demand_and_announce_no_page_too_many(self):
        session = self.other()
        expression = f'select name from Task where parent_id is "{self.shot["id"]}" order by bid'
        before = len(session.requests)
        names = [task["name"] for task in session.query(expression, page_size=2)]
        self.assertEqual(names, [row[0] for row in ROWS])
        self.assertEqual(len(session.requests) - before, 3)
        before = len(session.requests)
        self.assertEqual(session.query(expression, page_size=4)[0]["name"], "alpha")
        self.assertEqual(len(session.requests) - before, 1)
        self.assertEqual(len(session.query(expression, page_size=4)), 6)

    def test_the_default_order_is_the_same_for_pages_and_for_all(self):
        expression = "select id from Status"
        every = [status["id"] for status in self.session.query(expression)]
        paged = [status["id"] for status in self.session.query(expression, page_size=3)]
        self.assertEqual(paged, every)
        self.assertEqual(self.session.query(expression).first()["id"], every[0])

    def test_one_and_first(self):
        missing = f'Task where parent_id is "{self.empty["id"]}"'
        every = f'Task where parent_id is "{self.shot["id"]}"'
        with self.assertRaises(ftrack_api.exception.NoResultFoundError):
            self.session.query(missing).one()
        with self.assertRaises(ftrack_api.exception.MultipleResultsFoundError):
            self.session.query(every).one()
        self.assertIsNone(self.session.query(missing).first())
        self.assertEqual(self.session.query(every + " order by bid").first()["name"], "alpha")
        self.assertEqual(self.session.query(every + ' and name is "beta"').one()["bid"], 2.0)

    def test_unknown_ids_of_any_shape_find_nothing(self):
        for identifier in ("", "nobody", "00000000-0000-0000-0000-000000000000", "ü", "1", "%"):
            self.assertEqual(self.session.query(f'Task where id is "{identifier}"').all(), [])
            self.assertEqual(self.session.query(f'Task where parent.id is "{identifier}"').all(), [])
        self.assertIsNone(self.session.get("Task", "nobody"))

    def test_projections_reach_through_relations_in_one_request(self):
        session = self.other()
        asset = session.query(
            "select name, parent.name, parent.parent.name, versions.version, versions.task.name, "
            f'versions.user.username from Asset where id is "{self.asset["id"]}"'
        ).one()
        before = len(session.requests)
        self.assertEqual((asset["parent"]["name"], asset["parent"]["parent"]["name"]), ("sh", "sq"))
        self.assertEqual(sorted(version["version"] for version in asset["versions"]), [1, 2, 3])
        self.assertEqual({version["task"]["name"] for version in asset["versions"]}, {"alpha"})
        self.assertEqual({version["user"]["username"] for version in asset["versions"]}, {self.session.api_user})
        self.assertEqual(len(session.requests), before)

    def test_a_whole_relation_can_be_projected(self):
        session = self.other()
        task = session.query(f'select timelogs, metadata, status from Task where id is "{self.tasks["alpha"]["id"]}"').one()
        before = len(session.requests)
        self.assertEqual(len(task["timelogs"]), 2)
        self.assertEqual(dict(task["metadata"]), {"grade": "A"})
        self.assertEqual(task["status"]["id"], self.on["id"])
        self.assertEqual(len(session.requests), before)
        self.assertEqual(sorted(log["duration"] for log in task["timelogs"]), [60, 120])

    def test_empty_relations_are_known_to_be_empty(self):
        session = self.other()
        task = session.query(
            f'select timelogs, notes, thumbnail, metadata from Task where id is "{self.tasks["Gamma"]["id"]}"'
        ).one()
        before = len(session.requests)
        self.assertEqual((len(task["timelogs"]), len(task["notes"]), task["thumbnail"]), (0, 0, None))
        self.assertEqual(dict(task["metadata"]), {})
        self.assertEqual(len(session.requests), before)

    def test_attributes_named_like_words_of_the_language(self):
        link = self.create("TypedContextLink", **{"from": self.shot, "to": self.empty})
        found = self.session.query(f'TypedContextLink where from.id is "{self.shot["id"]}" and to.id is "{self.empty["id"]}"').one()
        self.assertEqual(found["id"], link["id"])
        setting = self.session.query(
            'select value from Setting where name is "storage_scenario" and group is "STORAGE"'
        ).one()
        self.assertIn("scenario", setting["value"])

    def test_ancestors_and_descendants(self):
        expression = 'select name from Task where ancestors.id is "{}" and bid < 2'
        self.assertEqual(self.names(expression.format(self.sequence["id"])), ["alpha"])
        self.assertEqual(self.names(expression.format(self.empty["id"])), [])
        session = self.other()
        project = session.query(f'select descendants.name from Project where id is "{self.project["id"]}"').one()
        self.assertEqual(len(project["descendants"]), 9)

    def test_blanks_do_not_matter(self):
        self.assertEqual(self.found('  name   is    "alpha"   or(name is"beta"and bid is 2)'), ["alpha", "beta"])

    def test_mistakes_are_refused_with_their_subject(self):
        for expression, subject in (
            ("select nonsense from Task", "nonsense"),
            ("Task where nonsense is 1", "nonsense"),
            ("Task where status.nonsense is 1", "nonsense"),
            ("Task where name is", ""),
            ("Task where (name is a", ""),
            ("Task where name like", ""),
            ("Task where name is \"open", ""),
            ("Task order by nonsense", "nonsense"),
            ("Task limit many", "many"),
            ("Task where bid sort_of 4", "sort_of"),
        ):
            with self.subTest(expression=expression):
                with self.assertRaises(ftrack_api.exception.ServerError) as caught:
                    self.session.query(expression).all()
                self.assertIn(subject, str(caught.exception))
        with self.assertRaises(ftrack_api.exception.ServerError) as caught:
            self.session.query("select id from Nonsense").all()
        self.assertIn("Nonsense", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
