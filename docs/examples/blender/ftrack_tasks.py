"""The artist's ftrack tasks in Blender: open, save and publish their scenes, see their statuses.

Copy this file into Blender's add-on folder, with the wheel of `src/python` installed into Blender's Python, and enable
"ftrack tasks". The settings are those of the add-on; what is empty comes from FTRACK_SERVER, FTRACK_API_USER and
FTRACK_API_KEY.
"""

import os
import tempfile

import bpy
import ftrack_api
from ftrack_api.accessor.disk import DiskAccessor
from ftrack_api.structure.standard import StandardStructure

bl_info = {
    "name": "ftrack tasks",
    "blender": (3, 4, 0),
    "category": "Pipeline",
    "location": "3D View > Sidebar > ftrack",
}

#: Where published scenes are kept, under this name on the server.
LOCATION = "blender.files"
ACTION = "blender.open.task"
#: How often events are looked for, in seconds.
INTERVAL = 0.5
#: Small enough to render in a moment.
THUMBNAIL = (320, 180)
SAMPLES = 4


class Connection:
    """The session of this Blender, and what the panel shows."""

    def __init__(self, settings):
        if not settings.folder:
            raise RuntimeError("Set the folder for scenes in the preferences of this add-on.")
        #: Where the artist's own copies are: Blender saves there, and never into what is published.
        self.work = os.path.join(settings.folder, "work")
        self.session = ftrack_api.Session(
            server_url=settings.server_url or None,
            api_user=settings.api_user or None,
            api_key=settings.api_key or None,
            auto_connect_event_hub=True,
        )
        self.location = self.session.ensure("Location", {"name": LOCATION})
        self.location.accessor = DiskAccessor(prefix=os.path.join(settings.folder, "published"))
        self.location.structure = StandardStructure()
        self.location.priority = 10
        self.tasks = []
        self.message = ""
        self.refresh()
        hub = self.session.event_hub
        hub.subscribe("topic=ftrack.update", self.on_update)
        mine = 'source.user.username="{0}"'.format(self.session.api_user)
        hub.subscribe("topic=ftrack.action.discover and " + mine, self.on_discover)
        hub.subscribe(
            "topic=ftrack.action.launch and data.actionIdentifier={0} and {1}".format(ACTION, mine), self.on_launch
        )

    def refresh(self):
        """Load the tasks that are assigned to the artist, with all that is shown, in one request."""
        self.tasks = self.session.query(
            "select name, parent.name, project.name, status.name from Task where "
            'assignments any (resource.username is "{0}") order by name'.format(self.session.api_user)
        ).all()

    def task(self, key):
        return next((task for task in self.tasks if task["id"] == key), None) or self.session.get("Task", key)

    # --- scenes ---

    def newest(self, task):
        """The newest version of a task that has a scene, or `None`."""
        return self.session.query(
            'select version, components.name from AssetVersion where task_id is "{0}" and components.name is "scene" '
            "order by version descending".format(task["id"])
        ).first()

    def open(self, task):
        """Open the artist's copy of the newest scene of the task; make one, or begin a scene, if there is none."""
        version = self.newest(task)
        copy = self.copy_of(task, version)
        if os.path.exists(copy):
            bpy.ops.wm.open_mainfile(filepath=copy)
            return
        if version is None:
            bpy.ops.wm.read_homefile(app_template="")
        else:
            scene = next(component for component in version["components"] if component["name"] == "scene")
            bpy.ops.wm.open_mainfile(filepath=self.location.get_filesystem_path(scene))
        bpy.context.scene["ftrack_task"] = task["id"]
        self.save(copy)

    def copy_of(self, task, version):
        return os.path.join(self.work, "{0}_v{1:03d}.blend".format(task["id"], version["version"] if version else 0))

    def save(self, copy):
        """Save the scene as *copy*, and go on in that."""
        os.makedirs(self.work, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=copy)

    def publish(self, task, comment):
        """Make a version of the scene, with a rendered thumbnail; nothing is left of it if something fails."""
        with tempfile.TemporaryDirectory() as folder:
            scene = os.path.join(folder, "scene.blend")
            image = os.path.join(folder, "thumbnail.png")
            bpy.ops.wm.save_as_mainfile(filepath=scene, copy=True)
            render(image)
            asset = self.session.ensure(
                "Asset",
                {"name": task["name"] + " scene", "context_id": task["parent_id"]},
                identifying_keys=["name", "context_id"],
            )
            version = self.session.create("AssetVersion", {"asset": asset, "task": task, "comment": comment})
            try:
                self.session.commit()
                version.create_component(scene, {"name": "scene"}, location=self.location)
                version.create_thumbnail(image)
            except Exception:
                self.session.rollback()
                self.session.delete(version)
                self.session.commit()
                raise
        self.save(self.copy_of(task, version))
        return version

    # --- events ---

    def on_update(self, event):
        """Somebody changed something: load again what is shown if it is about that."""
        changed = {entity.get("entityId") for entity in event["data"].get("entities", [])}
        if changed & {task["id"] for task in self.tasks}:
            self.refresh()
            redraw()

    def on_discover(self, event):
        selection = event["data"].get("selection", [])
        if len(selection) == 1 and selection[0]["entityType"] == "task":
            return {"items": [{"label": "Open in this Blender", "actionIdentifier": ACTION, "icon": "default"}]}
        return None

    def on_launch(self, event):
        task = self.session.get("Task", event["data"]["selection"][0]["entityId"])
        self.open(task)
        return {"success": True, "message": "{0} is open in Blender.".format(task["name"])}


#: There is one at most.
connection = None


def render(path):
    """Render the scene small and with few samples, on the processor; the scene's own settings are restored."""
    scene = bpy.context.scene
    render, cycles = scene.render, scene.cycles
    kept = [
        (owner, name, getattr(owner, name))
        for owner, names in (
            (render, ("engine", "resolution_x", "resolution_y", "resolution_percentage", "filepath")),
            (cycles, ("device", "samples", "use_denoising")),
        )
        for name in names
    ]
    had_camera = scene.camera is not None
    try:
        if not had_camera:
            camera = bpy.data.objects.new("ftrack thumbnail", bpy.data.cameras.new("ftrack thumbnail"))
            camera.location, camera.rotation_euler = (7, -7, 5), (1.1, 0, 0.8)
            scene.collection.objects.link(camera)
            scene.camera = camera
        render.engine = "CYCLES"
        # Not every Blender is built with the denoiser.
        cycles.device, cycles.samples, cycles.use_denoising = "CPU", SAMPLES, False
        render.resolution_x, render.resolution_y = THUMBNAIL
        render.resolution_percentage = 100
        render.filepath = path
        bpy.ops.render.render(write_still=True)
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)
        if not had_camera and scene.camera is not None:
            bpy.data.cameras.remove(scene.camera.data)


def redraw():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            area.tag_redraw()


def poll():
    """Blender's timer: calls the handlers of events that have arrived, on Blender's main thread."""
    if connection is None:
        return None
    connection.session.event_hub.poll()
    return INTERVAL


class Settings(bpy.types.AddonPreferences):
    bl_idname = __name__

    server_url: bpy.props.StringProperty(name="Server")
    api_user: bpy.props.StringProperty(name="User")
    api_key: bpy.props.StringProperty(name="API key", subtype="PASSWORD")
    folder: bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", description="Where published scenes are kept")

    def draw(self, context):
        for name in ("server_url", "api_user", "api_key", "folder"):
            self.layout.prop(self, name)


class Failing:
    """An operator that reports what goes wrong, and does not raise it."""

    def execute(self, context):
        try:
            self.run(context)
        except (ftrack_api.exception.Error, OSError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class Connect(Failing, bpy.types.Operator):
    bl_idname = "ftrack.connect"
    bl_label = "Connect"

    def run(self, context):
        global connection
        disconnect()
        connection = Connection(context.preferences.addons[__name__].preferences)
        bpy.app.timers.register(poll, first_interval=INTERVAL, persistent=True)


class Open(Failing, bpy.types.Operator):
    bl_idname = "ftrack.open"
    bl_label = "Open"
    task: bpy.props.StringProperty()

    def run(self, context):
        connection.open(connection.task(self.task))


class Publish(Failing, bpy.types.Operator):
    bl_idname = "ftrack.publish"
    bl_label = "Publish"
    comment: bpy.props.StringProperty(name="Comment")

    @classmethod
    def poll(cls, context):
        return connection is not None and bool(context.scene.get("ftrack_task"))

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def run(self, context):
        version = connection.publish(connection.task(context.scene["ftrack_task"]), self.comment)
        connection.message = "published version {0}".format(version["version"])
        self.report({"INFO"}, connection.message)


class Panel(bpy.types.Panel):
    bl_idname = "VIEW3D_PT_ftrack"
    bl_label = "ftrack"
    bl_category = "ftrack"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context):
        layout = self.layout
        if connection is None:
            layout.operator(Connect.bl_idname)
            return
        current = context.scene.get("ftrack_task")
        for task in connection.tasks:
            box = layout.box()
            icon = "CHECKMARK" if task["id"] == current else "NONE"
            box.label(text="{0} / {1}".format(task["parent"]["name"], task["name"]), icon=icon)
            row = box.row()
            row.label(text=task["status"]["name"])
            row.operator(Open.bl_idname).task = task["id"]
        layout.operator(Publish.bl_idname)
        if connection.message:
            layout.label(text=connection.message)


CLASSES = (Settings, Connect, Open, Publish, Panel)


def disconnect():
    global connection
    if bpy.app.timers.is_registered(poll):
        bpy.app.timers.unregister(poll)
    if connection is not None:
        connection.session.close()
        connection = None


def register():
    for each in CLASSES:
        bpy.utils.register_class(each)


def unregister():
    disconnect()
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
