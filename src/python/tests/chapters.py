"""What the documentation's chapters need to run: see test_documentation.py.

For each chapter, by its name without `.rst`:

given     code that is run first: what the text before the examples takes for granted
changes   ids, paths, names of the reader's own; and mistakes of the documentation, each with a comment
left_out  examples that are not run, by number, and why
prints    what an example must print, by number
checks    what must be true after the last example: expressions
"""

UNIQUE = "doc-0123456789abcdef"  # Replaced by another name in each run.

# In all chapters.
MY_SITE = [
    ("server_url='https://mycompany.ftrackapp.com'", "server_url=os.environ['FTRACK_SERVER']"),
    ("server_url='https://YOUR-SITE-URL'", "server_url=os.environ['FTRACK_SERVER']"),
    ("api_key='7545384e-a653-11e1-a82c-f22c11dd25eq'", "api_key=os.environ['FTRACK_API_KEY']"),
    ("api_key='YOUR-API-KEY'", "api_key=os.environ['FTRACK_API_KEY']"),
    ("api_user='martin'", "api_user=os.environ['FTRACK_API_USER']"),
    ("api_user='YOUR-API-USER'", "api_user=os.environ['FTRACK_API_USER']"),
]

# Run before every chapter.
GIVEN = """
import arrow, json, logging, os, random, tempfile, uuid
import ftrack_api
session = ftrack_api.Session(plugin_paths=[])
user = session.query('User where username is "{0}"'.format(session.api_user)).one()
project = session.query('Project').first()
def new_task(**values):
    return session.create('Task', dict(values, name=uuid.uuid4().hex, parent=project))
def new_version():
    kind = session.query('AssetType').first()
    asset = session.create('Asset', {'name': uuid.uuid4().hex, 'type': kind, 'parent': project})
    return session.create('AssetVersion', {'asset': asset})
def new_file(suffix='.txt', content=b'content'):
    handle, path = tempfile.mkstemp(suffix=suffix)
    os.write(handle, content)
    os.close(handle)
    return path
def new_text_attribute(entity_type, key, **values):
    kind = session.query('CustomAttributeType where name is "text"').one()
    return session.create('CustomAttributeConfiguration', dict(
        values, entity_type=entity_type, type=kind, label=key, key=key, default='',
        config=json.dumps({'markdown': False})))
"""

TEXT_ATTRIBUTES = """
task_kind = session.query('ObjectType where name is "Task"').one()
shot_kind = session.query('ObjectType where name is "Shot"').one()
number = session.query('CustomAttributeType where name is "number"').one()
new_text_attribute('task', 'UNIQUE', object_type_id=task_kind['id'])
new_text_attribute('task', 'UNIQUE-2', is_hierarchical=True)
session.create('CustomAttributeConfiguration', {
    'entity_type': 'task', 'object_type_id': shot_kind['id'], 'type': number, 'label': 'UNIQUE-3',
    'key': 'UNIQUE-3', 'default': 1, 'config': json.dumps({'isdecimal': True})})
session.commit()
session = ftrack_api.Session(plugin_paths=[])
project = session.query('Project').first()
shot = session.create('Shot', {'name': uuid.uuid4().hex, 'parent': project})
shot['custom_attributes']['UNIQUE-2'] = 'foo'
task = session.create('Task', {'name': uuid.uuid4().hex, 'parent': shot, 'custom_attributes': {'UNIQUE': 'some text'}})
session.commit()
""".replace("UNIQUE", UNIQUE)

CHAPTERS = {
    "querying": dict(
        # A project's status is a text, and the type of a status is named its state now.
        changes=[("status.type.name", "status.state.name"), ("{project[status][name]})", "{project[status]})"), ("full_name, status.name from", "full_name, status from")],
        left_out={9: "a grammar", 16: "a query that is explained elsewhere"},
        checks=[
            "len(projects) > 0",
            "all(task['project'] is project for task in tasks_in_project)",
            "len(tasks_in_project) >= len(tasks_completed_in_project)",
            "len(users_without_timelogs) <= len(session.query('User'))",
        ],
    ),
    "working_with_entities": dict(
        given="""
import ftrack_api.entity.base, ftrack_api.entity.factory
new_task(), session.create('User', {'username': 'test_user-UNIQUE'})
session.commit()
new_task().create_note('old', user)
session.commit()
def construct(event):
    return Factory().create(event['data']['schema'])
def register(session, **arguments):
    session.event_hub.subscribe('topic=ftrack.api.session.construct-entity-type', construct)
OpenSession = ftrack_api.Session
def with_factory():
    # A plugin with the factory of the text.
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, 'plugin.py'), 'w') as file:
        file.write('import sys\\ndef register(session): sys.modules["of_the_chapter"].register(session)\\n')
    import sys, types
    module = sys.modules['of_the_chapter'] = types.ModuleType('of_the_chapter')
    module.register = register
    return OpenSession(plugin_paths=[folder])
""".replace("UNIQUE", UNIQUE),
        changes=[
            ("create_reply(...)", "create_reply('Reply', user)"),
            ("'martin'", "'martin-%s'" % UNIQUE),
            ("test_user", "test_user-" + UNIQUE),
            ("martin@example.com", UNIQUE + "@example.com"),
            ("session.query('Task').first()\nsession.delete", "session.query('Task order by name descending').first()\nsession.delete"),
            ("ftrack_api.Session()", "with_factory()"),
            # It never existed on the server: see the table of differences.
            ("session.create('User', {})\n>>> print", "session.create('User', {'username': '%s-2'})\n>>> print" % UNIQUE),
            ("session.delete(new_user)", "session.commit(); session.delete(new_user)"),
        ],
        prints={5: "NOT_SET", 11: "CREATED\nNOT_SET\nMODIFIED\nDELETED"},
        checks=["any(one.__name__ == 'CustomUser' for one in type(user).__mro__)"],
    ),
    "understanding_sessions": dict(
        given="""
session.rollback()
folder = tempfile.mkdtemp()
file = open(os.path.join(folder, 'a.py'), 'w')
file.write('''
import logging
def register(session, **arguments):
    logging.getLogger('com.example.example-plugin').debug('Plugin registered')
''')
file.close()
""",
        changes=[
            ("'martin'", "'martin-%s'" % UNIQUE),
            ("'bjorn'", "'bjorn-%s'" % UNIQUE),
            ("bjorn@example.com", UNIQUE + "@example.com"),
            ("me@example.com", UNIQUE + "-2@example.com"),
            ("some_unique_username", UNIQUE),
            ("'/path/to/plugins'", "folder"),
            (">>> isinstance(entity", ">>> is_project = isinstance(session.query('Project').first()"),
            ("session.create('User', {})", "session.create('User')"),
        ],
        left_out={15: "what the example before prints"},
        prints={5: "0\n1", 6: UNIQUE + "-2@example.com\nTrue"},
        checks=["is_project", "other_user['email'] == '%s@example.com'" % UNIQUE],
    ),
    "tutorial": dict(
        changes=[
            # Arrow has no plurals in `replace` since 0.14.
            ("replace(weeks=+1)", "shift(weeks=+1)"),
            ("Starlord Reveal", UNIQUE),
            (">>> child = project", ">>> project = session.query('Project where children any ()').first()\n>>> child = project"),
        ],
        left_out={16: "it fails on purpose: the next check has it"},
        prints={9: "True"},
        checks=["session.closed", "raises(ftrack_api.exception.ConnectionClosedError, lambda: session.query('Project').first())"],
    ),
    "caching": dict(
        given="""
import ftrack_api.cache
session.create('Timelog', {'user': user, 'context': new_task(), 'comment': 'Some comment', 'duration': 60})
session.commit()
key = user['id']
session = ftrack_api.Session(plugin_paths=[])
""",
        changes=[
            ("'some-user-id'", "key"),
            (">>>     print", "...     print"),
            (":emphasize-lines: 3, 9\n", ""),
            (":emphasize-lines: 1, 9-12\n", ""),
            ("'ftrack_session_cache.dbm'", "'%s.dbm'" % UNIQUE),
            ("user['timelogs'][0]", "session.query('select id from Timelog where user_id is \"{0}\"'.format(key)).first()"),
        ],
        checks=["session.query('User').first()['username']"],
    ),
    "handling_events": dict(
        changes=[
            # It would wait for ever.
            (".wait()", ".wait(duration=0.2)"),
            ("wait(duration=5)", "wait(duration=0.5)"),
        ],
        left_out={10: "an expression", 11: "an expression", 12: "an expression"},
        prints={7: "['A', 'B']"},
        checks=["session.event_hub.flush() is None and session.event_hub.connected"],
    ),
    "event_list": dict(left_out=dict.fromkeys(range(9), "what events look like")),
    "security_and_authentication": dict(left_out={0: "a message", 1: "a command"}),
    "locations/tutorial": dict(
        changes=[
            ("my.location", UNIQUE),
            ("'unique-id'", "location['id']"),
            ("location = session.create('Location'", "import ftrack_api.symbol\nlocation = session.create('Location'"),
        ],
        checks=[
            "location_by_id is location_by_name",
            "session.get_component_availability(component_c)[location['id']] == 100.0",
            "location.get_component_availability(component_b) == 0.0",
            "os.path.exists(location.get_filesystem_path(component_c))",
        ],
    ),
    "locations/configuring": dict(
        given="""
import ftrack_api.structure.id
session.create('Location', {'name': 'UNIQUE'})
session.commit()
""".replace("UNIQUE", UNIQUE),
        changes=[("my.location", UNIQUE)],
        checks=[
            "register(session) is None",
            "configure_locations({'data': {'session': session}}) is None",
            "location.priority == 50 and isinstance(location, ftrack_api.entity.location.UnmanagedLocationMixin)",
        ],
    ),
    "example/index": dict(),
    "example/assignments_and_allocations": dict(
        checks=["all(type(one).__name__ == 'User' for one in project_team)", "len(list(users)) > 0", "len(list(assigned_tasks)) > 0"],
    ),
    "example/component": dict(
        given="version = new_version()\nsession.commit()",
        changes=[("'/path/to/file_or_sequence.jpg'", "new_file('.jpg')")],
        checks=["component in version['components']"],
    ),
    "example/custom_attribute": dict(
        given=TEXT_ATTRIBUTES,
        changes=[
            ("my_text_field", UNIQUE),
            ("my_attribute", UNIQUE + "-2"),
            ("fstart", UNIQUE + "-3"),
            ("    ...\n    'custom", "    'name': uuid.uuid4().hex, 'parent': project,\n    'custom"),
            ("    ...\n}", "    'name': uuid.uuid4().hex, 'parent': project,\n}"),
            ("'foo'\nprint", "print"),
            ("\nNone", ""),
            ("= 'test'\nTraceback", "= 'test'; session.commit()\nTraceback"),
        ],
        left_out={9: "it fails on purpose: the next check has it"},
        prints={2: "some text", 7: "bar"},
        checks=[
            "raises((ValueError, TypeError, ftrack_api.exception.ServerError), lambda: (shot['custom_attributes'].update({'%s-3': 'test'}), session.commit()))" % UNIQUE,
        ],
    ),
    "example/custom_attribute_link": dict(
        given="""
role = session.query('SecurityRole').first()
task_kind = session.query('ObjectType where name is "Task"').one()
configuration = session.create('CustomAttributeLinkConfiguration', {
    'entity_type': 'task', 'object_type_id': task_kind['id'], 'entity_type_to': 'user', 'label': 'UNIQUE', 'key': 'UNIQUE',
    'config': '{}', 'one_to_one': True, 'write_security_roles': [role], 'read_security_roles': [role]})
task = new_task()
session.commit()
my_task_id, my_user_id, my_configuration_id = task['id'], user['id'], configuration['id']
""".replace("UNIQUE", UNIQUE),
        changes=[("supervisor", UNIQUE), ('"MY_TASK_ID"', '"%s"\' % my_task_id + \''), ("foobar", "nobody")],
        checks=["session.commit() is None"],
    ),
    "example/encode_media": dict(
        given="asset_version = new_version()\nsession.commit()\nPATH = new_file('.jpg')\ncomponent = session.create_component(new_file('.jpg'), {'name': 'x'}, location=None)",
        changes=[
            ("'/PATH/TO/MEDIA'", "PATH"),
            # A source is required, and what a job has are links to components.
            ("add_component(component)", "add_component(component, session.query('Location where name is \"ftrack.origin\"').one())"),
            ("get_url(component)", "get_url(component['component'])"),
        ],
        checks=["job['type']"],
    ),
    "example/entity_links": dict(
        given="""
shot = session.create('Shot', {'name': uuid.uuid4().hex, 'parent': project})
from_asset_version, to_asset_version, rig_version, model_version = [new_version() for _ in range(4)]
session.commit()
""",
        checks=["rig_version in model_version['used_in_versions']"],
    ),
    "example/group_by": dict(
        left_out={1: "a query that the next example sends", 3: "what the example before prints"},
        checks=["sum(one['count_id'] for one in status_count) > 0"],
    ),
    "example/invite_user": dict(changes=[("artist@", UNIQUE + "@")], checks=["new_user['id']"]),
    "example/job": dict(
        changes=[("user = # Get a user from ftrack.", ""), ("'/path/to/file'", "new_file()")],
        checks=["job['status'] == 'done'", "session.query('JobComponent where job_id is \"%s\"' % job['id']).one()"],
    ),
    "example/link_attribute": dict(
        given="session.create('Task', {'name': 'UNIQUE', 'parent': project})\nsession.commit()".replace("UNIQUE", UNIQUE),
        changes=[("myTask", UNIQUE), ("john.doe", "nobody")],
        checks=["entities[0] is session.get('Project', task['link'][0]['id'])", "entities[-1] is task"],
    ),
    "example/list": dict(
        given="""
task, asset_version = new_task(), new_version()
list_category = session.query('ListCategory').first()
session.commit()
""",
        changes=[
            ("user = # Get a user from ftrack.", ""),
            ("project = # Get a project from ftrack.", ""),
            ("list_category = # Get a list category from ftrack.", ""),
            ("    'owner'", "    'name': uuid.uuid4().hex, 'owner'"),
        ],
        checks=["session.commit() is None", "len(task_list['items']) == 0"],
    ),
    "example/manage_custom_attribute_configuration": dict(
        given="""
my_project = project
custom_attribute_configuration = new_text_attribute('assetversion', 'UNIQUE', project_id=project['id'])
session.commit()
count = len(session.query('CustomAttributeConfiguration'))
def sequence_object_id_of():
    return sequence_object_id
""".replace("UNIQUE", UNIQUE),
        changes=[
            ("'key': '", "'key': uuid.uuid4().hex + '"),
            # It is named otherwise two lines above.
            ("'object_type_id': sequence_object,", "'object_type_id': sequence_object_id,"),
            ("['default'] = 43", "['default'] = '43'"),
            # The names of object types begin with a capital.
            ('name is "task"', 'name is "Task"'),
            ('name is "shot"', 'name is "Shot"'),
            ('name is "sequence"', 'name is "Sequence"'),
        ],
        left_out={5: "not code"},
        checks=["session.commit() is None", "len(session.query('CustomAttributeConfiguration')) > count + 5"],
    ),
    "example/metadata": dict(
        given="""
new_sequence = session.create('Sequence', {
    'name': uuid.uuid4().hex, 'parent': project, 'metadata': {'frame_padding': '4', 'focal_length': '70'}})
session.commit()
""",
        prints={2: "4"},
        checks=["session.commit() is None", "dict(new_sequence['metadata']) == {'frame_padding': '4'}"],
    ),
    "example/note": dict(
        given="""
task = new_task()
session.commit()
note = task.create_note('before', user)
john = session.create('User', {'username': 'john-UNIQUE'})
session.commit()
""".replace("UNIQUE", UNIQUE),
        changes=[
            ("'User where username is \"john\"'", "'User where username is \"john-%s\"'" % UNIQUE),
            # Mistakes of the text.
            ("note['id],", "note['id'],"),
            (".replies.append", "['replies'].append"),
            ("'/path/to/file'", "new_file()"),
            ("recipients=[john, animation_group]", "recipients=[john]"),
            ("labels=[label]", "labels=[label] if label else None"),
            ("'label_id': label['id']", "'label_id': (label or session.query('NoteLabel').first())['id']"),
        ],
        left_out={1: "what does not work with the official client"},
        checks=["session.commit() is None", "note['recipients'] and len(task['notes']) >= 5"],
    ),
    "example/project": dict(checks=["len(session.query('Task where project.id is \"{0}\"'.format(project['id']))) == 64"]),
    "example/publishing": dict(
        given="my_task = new_task()\nsession.ensure('Location', {'name': 'UNIQUE'})\nsession.commit()".replace("UNIQUE", UNIQUE),
        changes=[
            ("'423ac382-e61d-4802-8914-dce20c92b740'", "my_task['id']"),
            ("'My asset'", "uuid.uuid4().hex"),
            ("'/path/to/a/file.mov'", "new_file('.mov')"),
            ("'/path/to/a/another-file.mov'", "new_file('.mov')"),
            # The location is asked for, which the text forgets, and must be configured.
            ("'Location where name is \"my-location\"')", "'Location where name is \"ftrack.server\"').one()"),
        ],
        checks=["len(asset_version['components']) == 3"],
    ),
    "example/review_session": dict(
        given="asset_version = new_version()\nsession.commit()",
        changes=[
            # The object is no session, but the text goes on as if it were.
            ("review_session = session.create('ReviewSessionObject'", "review_object = session.create('ReviewSessionObject'"),
            ("session.delete(invitee)", "session.delete(invitee); session.commit()\n"
                "invitee = session.create('ReviewSessionInvitee', {'name': 'J', 'email': 'j@example.com', 'review_session': review_session})\n"
                "session.commit(); a_list_of_invitees = [invitee]"),
        ],
        checks=["len(review_session_objects) == 1"],
    ),
    "example/scope": dict(
        given="session.ensure('Scope', {'name': 'London'})\ntask = new_task()\nsession.commit()",
        changes=[("[0]\n...\n... if", "[0]\n>>> if")],
        checks=["session.commit() is None", "scope in task['scopes']"],
    ),
    "example/security_roles": dict(
        given="""
user = session.create('User', {'username': 'UNIQUE'})
session.commit()
""".replace("UNIQUE", UNIQUE),
        changes=[
            # The text has taken the role away again.
            ('user_role = session', """
def give():
    session.call([{"action": "add_user_security_role", "user_id": user["id"], "role_id": project_manager_role["id"]}])
give()
user_role = session"""),
            ("projects = session", "give()\nprojects = session"),
            ('full_name is "project1" or full_name is "project2"', 'id is_not ""'),
        ],
        checks=["list(security_roles)"],
    ),
    "example/sync_ldap_users": dict(changes=[("['data]", "['data']")], checks=["job"]),
    "example/task_template": dict(
        changes=[("'name': task_type['name'],", "'name': task_type['name'] + uuid.uuid4().hex,")],
       checks=["project['project_schema']['task_templates']"]),
    "example/thumbnail": dict(
        given="""
import ftrack_api.symbol
version = new_version()
my_task_id, my_asset_version_id = new_task()['id'], version['id']
session.commit()
""",
        changes=[("'/path/to/image.jpg'", "new_file('.jpg')")],
        checks=["thumbnail_url_tiny != thumbnail_url_large"],
    ),
    "example/timer": dict(
        given="task = new_task()\nsession.commit()",
        changes=[("user = # Get a user from ftrack.", ""), ("task = # Get a task from ftrack.", "")],
        checks=["timelog['duration'] is not None", "user.stop_timer()"],
    ),
    "example/web_review": dict(
        given="some = new_version()\nsession.commit()",
        changes=[
            # `query` takes a query.
            ("session.query('AssetVersion', 'SOME-ID')", "session.get('AssetVersion', some['id'])"),
            ("'/path/to/local/file.mp4'", "new_file('.mp4')"),
            ("'/path/to/image.jpg'", "new_file('.jpg')"),
        ],
        checks=["json.loads(component['metadata']['ftr_meta'])['format'] == 'pdf'"],
    ),
    "example/workflow_schema": dict(
        given="""
for name in ('Not started', 'In progress', 'Completed', 'On Hold'):
    if session.query('Status where name is "{0}"'.format(name)).first() is None:
        session.create('Status', {'name': name, 'state': session.query('State').first()})
for name in ('Generic', 'Modeling', 'Rigging', 'Compositing', 'Deliverable', 'Character'):
    session.ensure('Type', {'name': name})
""",
        checks=["session.query('ProjectSchema where id is \"%s\"' % project_schema['id']).one()"],
    ),
}
