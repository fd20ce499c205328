"""Files: into the server's location and back, sequences, thumbnails, encoding."""

import base64
import hashlib
import json
import os
import pathlib
import tempfile
import unittest

import ftrack_api
import requests

import images
from support import Case, unique, wait_until

SERVER = ftrack_api.symbol.SERVER_LOCATION_ID
ORIGIN = ftrack_api.symbol.ORIGIN_LOCATION_ID


class Uploading(Case):
    """Cases with a version and a folder for files; no tests of its own."""

    @classmethod
    def prepare(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.asset = cls.session.create("Asset", {"name": "plate", "parent": cls.project})
        cls.version = cls.session.create("AssetVersion", {"asset": cls.asset})
        cls.session.commit()
        cls.server = cls.session.get("Location", SERVER)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def upload(self, name, data, /, **extra):
        component = self.version.create_component(self.file(name, data), extra, location=self.server)
        self.session.commit()
        return component

    def download(self, component):
        url = self.server.get_url(component)
        response = requests.get(url, timeout=60)
        response.raise_for_status()
        return response.content


class Files(Uploading):
    def test_bytes_come_back_as_they_were(self):
        for name, data in (
            ("text.txt", "ünï\r\n漢字\n".encode()),
            ("zeros.bin", bytes(4096)),
            ("every.bin", bytes(range(256)) * 64),
            ("random.bin", os.urandom(300_001)),
            ("empty.bin", b""),
            ("big.bin", os.urandom(5_000_000)),
        ):
            with self.subTest(name=name):
                component = self.upload(name, data, name=unique())
                self.assertEqual(self.download(component), data)
                accessor = self.server.accessor
                with_client = accessor.open(self.server.get_resource_identifier(component), "rb")
                self.assertEqual(with_client.read(), data)
                with_client.close()

    def test_what_is_known_of_an_uploaded_file(self):
        component = self.upload("plate.0001.exr", b"12345", name="main")
        seen = self.again(component)
        self.assertEqual((seen.entity_type, seen["name"], seen["file_type"], seen["size"]), ("FileComponent", "main", ".exr", 5))
        self.assertEqual(seen["version"]["id"], self.version["id"])
        locations = {each["location"]["name"]: each["resource_identifier"] for each in seen["component_locations"]}
        self.assertEqual(locations["ftrack.server"], component["id"])
        self.assertEqual(self.again(self.version)["components"][0]["id"] in {c["id"] for c in self.version["components"]}, True)

    def test_availability(self):
        component = self.upload("available.txt", b"x", name=unique())
        availability = self.session.get_component_availability(component)
        self.assertEqual(availability[SERVER], 100.0)
        self.assertEqual({value for key, value in availability.items() if key not in (SERVER, ORIGIN)}, {0.0})
        self.assertEqual(component.get_availability([self.server]), {SERVER: 100.0})

    def test_removed_data_is_gone(self):
        component = self.upload("removed.txt", b"x", name=unique())
        url = self.server.get_url(component)
        self.assertEqual(requests.get(url, timeout=30).status_code, 200)
        self.server.remove_component(component)
        self.assertGreaterEqual(requests.get(url, timeout=30).status_code, 400)
        self.assertEqual(self.session.get_component_availability(component)[SERVER], 0.0)
        self.assertEqual(self.other().query(f'ComponentLocation where component_id is "{component["id"]}" and location_id is "{SERVER}"').all(), [])

    def test_a_file_that_is_added_twice_is_refused(self):
        component = self.upload("twice.txt", b"x", name=unique())
        with self.assertRaises(ftrack_api.exception.ComponentInLocationError):
            self.server.add_component(component, self.session.get("Location", ORIGIN))

    def test_data_that_was_never_stored_cannot_be_fetched(self):
        url = f"{self.session.server_url}/component/get"
        login = {"username": self.session.api_user, "apiKey": self.session.api_key}
        for identifier in ("nobody", "", "../../../etc/passwd", "%2e%2e%2f", "C:\\windows"):
            self.assertGreaterEqual(requests.get(url, params={"id": identifier, **login}, timeout=30).status_code, 400)

    def test_data_needs_a_key(self):
        component = self.upload("secret.txt", b"secret", name=unique())
        url = f"{self.session.server_url}/component/get"
        for login in ({}, {"username": self.session.api_user}, {"username": self.session.api_user, "apiKey": "wrong"}):
            response = requests.get(url, params={"id": component["id"], **login}, timeout=30)
            self.assertGreaterEqual(response.status_code, 400)
            self.assertNotIn(b"secret", response.content)

    def test_parts_of_a_file_can_be_fetched(self):
        component = self.upload("ranges.bin", bytes(range(200)), name=unique())
        response = requests.get(self.server.get_url(component), headers={"Range": "bytes=10-19"}, timeout=30)
        self.assertEqual((response.status_code, response.content), (206, bytes(range(10, 20))))
        self.assertEqual(response.headers["Content-Range"], "bytes 10-19/200")

    def test_a_sequence_goes_in_and_comes_back(self):
        data = {number: os.urandom(1000 + number) for number in (1, 2, 3, 5)}
        for number, content in data.items():
            self.file(f"seq.{number:04d}.exr", content)
        path = f"{self.folder}/seq.%04d.exr [1-3, 5]"
        component = self.version.create_component(path, {"name": "frames"}, location=self.server)
        self.session.commit()
        seen = self.again(component)
        self.assertEqual((seen.entity_type, seen["padding"], seen["file_type"]), ("SequenceComponent", 4, ".exr"))
        self.assertEqual(seen["size"], sum(map(len, data.values())))
        members = {int(member["name"]): member for member in seen["members"]}
        self.assertEqual(sorted(members), [1, 2, 3, 5])
        for number, member in members.items():
            self.assertEqual(member["container"]["id"], component["id"])
            self.assertEqual(self.download(member), data[number])
        self.assertEqual(self.session.get_component_availability(component)[SERVER], 100.0)

    def test_containers_hold_other_components(self):
        container = self.create("ContainerComponent", name="bundle", version=self.version)
        parts = [self.session.create("FileComponent", {"name": f"p{n}", "container": container}) for n in range(3)]
        self.session.commit()
        seen = self.again(container)
        self.assertEqual({member["id"] for member in seen["members"]}, {part["id"] for part in parts})
        container["members"].remove(parts[0])
        self.session.commit()
        self.assertIsNone(self.again(parts[0])["container"])
        self.session.delete(container)
        self.session.delete(parts[0])
        self.session.commit()

    def test_one_location_to_another_on_disk(self):
        location = self.delete_at_end(self.session.ensure("Location", {"name": unique("disk")}))
        disk = self.folder / "disk"
        disk.mkdir()
        location.accessor = ftrack_api.accessor.disk.DiskAccessor(prefix=str(disk))
        location.structure = ftrack_api.structure.standard.StandardStructure()
        location.priority = 1
        component = self.upload("published.txt", b"to disk", name="main")
        location.add_component(component, self.server)
        path = pathlib.Path(location.get_filesystem_path(component))
        self.assertEqual(path.read_bytes(), b"to disk")
        relative = path.relative_to(disk)
        self.assertEqual(relative.parts[0], self.project["name"])
        self.assertEqual(self.session.get_component_availability(component)[location["id"]], 100.0)
        self.assertEqual(self.session.pick_location(component)["id"], location["id"])
        location.remove_component(component)
        self.assertFalse(path.exists())
        location.priority = 1000

    def test_upload_metadata_for_a_component_that_does_not_exist_yet(self):
        data = b"raw upload"
        checksum = base64.b64encode(hashlib.md5(data).digest()).decode()
        identifier = "aaaaaaaa-bbbb-4ccc-8ddd-" + unique()[-12:]
        reply = self.session.get_upload_metadata(identifier, "raw.txt", len(data), checksum)
        self.assertEqual(reply["component_id"], identifier)
        wrong = requests.put(reply["url"], headers=reply["headers"], data=b"other data", timeout=30)
        self.assertGreaterEqual(wrong.status_code, 400)
        reply = self.session.get_upload_metadata(identifier, "raw.txt", len(data), checksum)
        self.assertLess(requests.put(reply["url"], headers=reply["headers"], data=data, timeout=30).status_code, 300)
        got = requests.get(
            f"{self.session.server_url}/component/get",
            params={"id": identifier, "username": self.session.api_user, "apiKey": self.session.api_key},
            timeout=30,
        )
        self.assertEqual(got.content, data)

    def test_an_upload_address_does_not_work_for_another_component(self):
        reply = self.session.get_upload_metadata("11111111-1111-4111-8111-111111111111", "a.txt", 1)
        other = self.session.get_upload_metadata("22222222-2222-4222-8222-222222222222", "a.txt", 1)
        query = reply["url"].split("?")[1]
        for forged in (reply["url"].split("?")[0], other["url"].split("?")[0] + "?" + query, reply["url"][:-1] + "z"):
            response = requests.put(forged, headers=reply["headers"], data=b"x", timeout=30)
            self.assertGreaterEqual(response.status_code, 400, forged)

    def test_thumbnails_of_everything_that_can_have_one(self):
        path = self.file("thumbnail.png", images.png(400, 200))
        task = self.create("Task", name=unique(), parent=self.project)
        user = self.delete_at_end(self.create("User", username=unique("user")))
        for entity in (self.project, task, self.version, user):
            with self.subTest(entity=entity.entity_type):
                component = self.delete_at_end(entity.create_thumbnail(path))
                seen = self.again(entity)
                self.assertEqual(seen["thumbnail"]["id"], component["id"])
                self.assertEqual((seen["thumbnail"]["name"], seen["thumbnail"]["file_type"]), ("thumbnail", ".png"))
                self.assertIsInstance(seen["thumbnail_url"], dict)
                shown = requests.get(self.server.get_thumbnail_url(component, 50), timeout=30)
                self.assertEqual(images.size(shown.content)[1:], (50, 25))

    def test_thumbnails_fit_the_size_and_keep_their_proportions(self):
        component = self.upload("wide.png", images.png(640, 160), name=unique())
        for size, expected in ((None, (300, 75)), (100, (100, 25)), (64, (64, 16)), (2000, (640, 160))):
            with self.subTest(size=size):
                response = requests.get(self.server.get_thumbnail_url(component, size), timeout=30)
                self.assertEqual(response.status_code, 200)
                self.assertTrue(response.headers["content-type"].startswith("image/"))
                self.assertEqual(images.size(response.content)[1:], expected)

    def test_what_is_no_image_has_no_thumbnail(self):
        component = self.upload("text.txt", b"no image", name=unique())
        self.assertGreaterEqual(requests.get(self.server.get_thumbnail_url(component), timeout=30).status_code, 400)

    def test_a_deleted_thumbnail_leaves_nothing_behind(self):
        task = self.create("Task", name=unique(), parent=self.project)
        component = task.create_thumbnail(self.file("gone.png", images.png(8, 8)))
        self.session.delete(component)
        self.session.commit()
        self.assertIsNone(self.again(component))
        self.assertIsNone(self.again(task)["thumbnail"])


class Encoding(Uploading):
    def finished(self, job):
        self.delete_at_end(job)

        def done():
            session = self.other()
            seen = self.again(job, session)
            self.assertIn(seen["status"], ("queued", "running", "done"))
            return seen if seen["status"] == "done" else None

        return wait_until(done, seconds=60)

    def outputs(self, job):
        session = self.other()
        data = json.loads(job["data"])
        components = [session.get("FileComponent", each["component_id"]) for each in data["output"]]
        return data, [(each["format"], component) for each, component in zip(data["output"], components)]

    def test_an_image_becomes_playable_and_gets_a_thumbnail(self):
        component = self.upload("still.png", images.png(600, 300), name=unique())
        job = self.finished(self.version.encode_media(component))
        data, outputs = self.outputs(job)
        self.assertEqual(data["source_component_id"], component["id"])
        self.assertIs(data["keep_original"], True)
        self.assertEqual({kind for kind, _ in outputs}, {"image/jpeg"})
        for _, output in outputs:
            self.assertEqual(output["version"]["id"], self.version["id"])
            self.assertEqual(images.size(self.download(output))[0], "jpeg")
            self.assertEqual(output["size"], len(self.download(output)))
        linked = {each["component_id"] for each in job["job_components"]}
        self.assertEqual(linked, {output["id"] for _, output in outputs})
        self.assertIsNotNone(self.again(self.version)["thumbnail_id"])
        self.assertIsNotNone(self.again(component))
        self.assertEqual(job["user"]["username"], self.session.api_user)

    def test_a_file_on_disk_is_uploaded_encoded_and_not_kept(self):
        path = self.file("clip.mov", os.urandom(2000))
        job = self.finished(self.version.encode_media(path))
        data, outputs = self.outputs(job)
        self.assertIs(data["keep_original"], False)
        self.assertIn("video/mp4", [kind for kind, _ in outputs])
        self.assertIsNone(self.other().get("FileComponent", data["source_component_id"]))

    def test_without_a_version_the_output_belongs_to_none(self):
        component = self.session.create_component(self.file("free.png", images.png(30, 30)), location=self.server)
        self.session.commit()
        self.delete_at_end(component)
        _, outputs = self.outputs(self.finished(self.session.encode_media(component)))
        for _, output in outputs:
            self.delete_at_end(output)
            self.assertIsNone(output["version_id"])

    def test_review_metadata_tells_players_about_the_movie(self):
        component = self.upload("movie.mp4", os.urandom(500), name=unique())
        job = self.finished(self.version.encode_media(component))
        metadata = [each for _, output in self.outputs(job)[1] for each in dict(output["metadata"])]
        self.assertIn("ftr_meta", metadata)

    def test_what_is_no_media_is_refused(self):
        with self.assertRaises(ValueError):
            self.session.encode_media(self.version)
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([{"action": "encode_media", "component_id": "nobody", "version_id": None, "keep_original": True}])


if __name__ == "__main__":
    unittest.main()
