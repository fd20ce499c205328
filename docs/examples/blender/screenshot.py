"""Takes the picture of the add-on's panel, in a Blender with a window: `src/python/run screenshot` runs this.

    blender --factory-startup --python screenshot.py -- docs/blender.png
"""

import os
import sys
import tempfile
import traceback

import bpy
import ftrack_api

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def prepare(folder):
    """An artist with some tasks; the scene of one of them is published."""
    with ftrack_api.Session(plugin_paths=[]) as session:
        user = session.query('User where username is "{0}"'.format(session.api_user)).one()
        for assignment in session.query('Appointment where resource_id is "{0}"'.format(user["id"])):
            session.delete(assignment)
        schema = session.query("ProjectSchema").first()
        project = session.create("Project", {"name": "short", "full_name": "A short film", "project_schema": schema})
        statuses = schema.get_statuses("Task")
        tasks = []
        for number, name in enumerate(("modelling", "animation", "lighting")):
            shot = session.create("Shot", {"name": "sh0{0}0".format(number + 1), "parent": project})
            task = session.create("Task", {"name": name, "parent": shot, "status": statuses[number % len(statuses)]})
            session.create("Appointment", {"context": task, "resource": user, "type": "assignment"})
            tasks.append(task)
        session.commit()
        first = tasks[0]["id"]
    bpy.ops.preferences.addon_enable(module="ftrack_tasks")
    bpy.context.preferences.addons["ftrack_tasks"].preferences.folder = folder
    bpy.ops.ftrack.connect()
    bpy.ops.ftrack.open(task=first)
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.delete()
    bpy.ops.mesh.primitive_monkey_add(size=4, rotation=(0, 0, 0.6))
    bpy.context.view_layer.objects.active.modifiers.new("smooth", "SUBSURF").levels = 3
    bpy.ops.object.light_add(type="SUN", location=(4, -4, 8))
    bpy.ops.ftrack.publish(comment="first")


def view():
    window = bpy.context.window_manager.windows[0]
    return window, max((area for area in window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.width)


def show():
    """Open the sidebar, on the tab of the add-on: it has no others."""
    for panel in bpy.types.Panel.__subclasses__():
        place = getattr(panel, "bl_space_type", ""), getattr(panel, "bl_region_type", "")
        if place == ("VIEW_3D", "UI") and getattr(panel, "bl_category", "") != "ftrack" and panel.is_registered:
            bpy.utils.unregister_class(panel)
    # The tab of the active object is Blender's own, and there only if one is active.
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = None
    _, area = view()
    space = area.spaces.active
    space.show_region_ui = True
    # Nothing that makes the picture large.
    space.overlay.show_overlays = space.show_gizmo = space.show_region_toolbar = False
    area.tag_redraw()


def take(path):
    window, area = view()
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.screenshot_area(filepath=path)


def main():
    path = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
    bpy.context.preferences.view.show_splash = False
    folder = tempfile.TemporaryDirectory()
    steps = [lambda: prepare(folder.name), show, lambda: take(path)]

    def step():
        # The window is drawn between one step and the next.
        try:
            steps.pop(0)()
        except Exception:
            traceback.print_exc()
            os._exit(1)
        if steps:
            return 1.0
        bpy.ops.preferences.addon_disable(module="ftrack_tasks")
        folder.cleanup()
        # Blender itself would miss the panels that were taken away.
        os._exit(0)

    bpy.app.timers.register(step, first_interval=1.0, persistent=True)


main()
