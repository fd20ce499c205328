"""The examples of the official documentation, chapter by chapter, run as they are.

`FTRACK_DOCUMENTATION` is the folder `doc` of the official client's source package, which `src/python/run` fetches. The
table in chapters.py says what of each chapter is changed, what is left out, and what must come of it.
"""

import contextlib
import io
import os
import pathlib
import re
import sys
import textwrap
import traceback
import unittest
import uuid

import ftrack_api

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chapters import CHAPTERS, GIVEN, MY_SITE, UNIQUE  # noqa: E402

DOCUMENTATION = os.environ.get("FTRACK_DOCUMENTATION")


def examples(text):
    """The blocks of code of a chapter."""
    lines, at, found = text.splitlines(), 0, []
    while at < len(lines):
        line = lines[at]
        at += 1
        named = re.match(r"\s*\.\. code-block:: *(\w*)", line)
        if not named and (line.lstrip().startswith(".. ") or not line.rstrip().endswith("::")):
            continue
        indent, begun = len(line) - len(line.lstrip()), at
        while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent):
            at += 1
        code = textwrap.dedent("\n".join(lines[begun:at])).strip("\n")
        if code and (not named or named.group(1) == "python"):
            found.append(code)
    return found


def script(code):
    """What is typed at a prompt, without what is printed."""
    if not code.lstrip().startswith(">>>"):
        return code
    typed = (re.match(r"(?:>>>|\.\.\.) ?(.*)", line) for line in code.splitlines())
    return "\n".join(line.group(1) for line in typed if line)


def chapters(folder):
    for path in sorted(folder.rglob("*.rst")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not name.startswith(("api_reference/", "release/")) and examples(path.read_text()):
            yield name, path


def raises(kind, call):
    try:
        call()
    except kind:
        return True
    return False


@unittest.skipUnless(DOCUMENTATION, "FTRACK_DOCUMENTATION is not set")
class Documentation(unittest.TestCase):
    def test_every_chapter_with_examples_is_in_the_table(self):
        found = {name for name, _ in chapters(pathlib.Path(DOCUMENTATION))}
        self.assertEqual(found - set(CHAPTERS), {"installing"} & found)
        self.assertEqual(set(CHAPTERS) - found, set())

    def test_the_examples_run(self):
        for name, path in chapters(pathlib.Path(DOCUMENTATION)):
            if name in CHAPTERS:
                with self.subTest(chapter=name):
                    self.run_chapter(name, path)

    def run_chapter(self, name, path):
        chapter, unique = CHAPTERS[name], "doc-" + uuid.uuid4().hex
        left_out, prints = chapter.get("left_out", {}), chapter.get("prints", {})
        text = path.read_text()
        changes = MY_SITE + chapter.get("changes", [])
        unused = [old for old, _ in chapter.get("changes", ()) if old not in text and "\n" not in old]
        self.assertEqual(unused, [], "not in the text")
        space = {"raises": raises, "__name__": "chapter"}
        self.run_code(GIVEN + chapter.get("given", "").replace(UNIQUE, unique), space, "what is given")
        blocks = examples(text)
        self.assertLessEqual(set(left_out) | set(prints), set(range(len(blocks))))
        try:
            for number, code in enumerate(blocks):
                if number in left_out:
                    continue
                for old, new in changes:
                    code = code.replace(old, new)
                code = script(code.replace(UNIQUE, unique))
                printed = self.run_code(code, space, "example {0}".format(number))
                if number in prints:
                    self.assertEqual(printed.strip(), prints[number].replace(UNIQUE, unique), "example {0}".format(number))
            for check in chapter.get("checks", ()):
                check = check.replace(UNIQUE, unique)
                self.assertTrue(eval(check, space), check)
        finally:
            for value in list(space.values()):
                if isinstance(value, ftrack_api.Session) and not value.closed:
                    value.rollback()
                    value.close()

    def run_code(self, code, space, what):
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, what, "exec"), space)
        except Exception:
            numbered = "\n".join("{0:3} {1}".format(*one) for one in enumerate(code.splitlines(), 1))
            self.fail("{0}:\n{1}\n{2}".format(what, numbered[-3000:], traceback.format_exc(limit=-3)))
        return printed.getvalue()


if __name__ == "__main__":
    unittest.main()
