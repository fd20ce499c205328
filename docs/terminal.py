"""Draws docs/terminal.svg: a session of `ftrack` in a real terminal, against the emulator.

    cargo build --workspace --features cli && python3 docs/terminal.py

Each command runs in a pseudo-terminal. What it writes is recorded, played into a small screen, and
drawn as SVG. Nothing but Python's standard library is needed.
"""

import html
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import time

import fcntl
import termios

COLUMNS, ROWS = 88, 60
# What is typed: a command, and answers to its questions.
SESSION = [
    ("ftrack whoami", []),
    ("ftrack tree copper_harbor/hrb/hrb_0050", []),
    ('ftrack query "select name, status.name, bid from Task where parent.name is hrb_0050"', []),
    ('ftrack set copper_harbor/hrb/hrb_0050/Tracking bid=28800', ["y"]),
    ('ftrack status copper_harbor/hrb/hrb_0050/Tracking "Aproved"', []),
]

COLORS = {
    30: "#21262d", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff",
    36: "#76e3ea", 37: "#c9d1d9", 90: "#6e7681",
}
INK, PAPER, PROMPT = "#e6edf3", "#0d1117", "#7ee787"


def record(command, answers, environment):
    """Runs a command in a pseudo-terminal, and returns the bytes that it wrote."""
    process, terminal = pty.fork()
    if process == 0:
        words = shlex.split(command)
        os.execvpe(words[0], words, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written, answers = b"", list(answers)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.3)
        if ready:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            written += part
        elif answers:
            os.write(terminal, answers.pop(0).encode() + b"\r")
    os.waitpid(process, 0)
    return written.decode()


class Screen:
    """A terminal that knows what the program writes: colours, returns, erased lines."""

    def __init__(self):
        self.lines, self.row, self.column = [[]], 0, 0
        self.style = {}

    def play(self, text):
        for escape, letter in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|([^\x1b])", text, re.S):
            if escape:
                self.control(escape[2:-1], escape[-1])
            elif letter == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append([])
                self.column = 0
            elif letter == "\r":
                self.column = 0
            else:
                if self.column == COLUMNS:
                    self.play("\r\n")
                line = self.lines[self.row]
                line.extend([(" ", {})] * (self.column + 1 - len(line)))
                line[self.column] = (letter, dict(self.style))
                self.column += 1

    def control(self, numbers, kind):
        values = [int(value or 0) for value in numbers.strip("?").split(";")]
        if kind == "m":
            self.color(values)
        elif kind == "K":
            erased = 0 if values[0] == 2 else self.column
            del self.lines[self.row][erased:]
        elif kind == "A":
            self.row = max(0, self.row - max(1, values[0]))

    def color(self, values):
        while values:
            value = values.pop(0)
            if value == 0:
                self.style = {}
            elif value == 1:
                self.style["font-weight"] = "bold"
            elif value == 2:
                self.style["opacity"] = "0.7"
            elif value == 38 and values[:1] == [2]:
                red, green, blue = values[1:4]
                self.style["fill"] = f"#{red:02x}{green:02x}{blue:02x}"
                del values[:4]
            elif value == 38 and values[:1] == [5]:
                self.style["fill"] = palette(values[1])
                del values[:2]
            elif value in COLORS:
                self.style["fill"] = COLORS[value]
            elif value == 39:
                self.style.pop("fill", None)


def palette(index):
    """The colour of one of the 256 of xterm."""
    if index < 16:
        return COLORS.get(30 + index % 8, INK)
    if index > 231:
        return "#" + f"{8 + (index - 232) * 10:02x}" * 3
    index -= 16
    parts = [index // 36, index // 6 % 6, index % 6]
    return "#" + "".join(f"{part and 55 + part * 40:02x}" for part in parts)


def draw(lines):
    width, height = COLUMNS * 8.4 + 32, len(lines) * 19 + 58
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img" aria-label="A session of ftrack in a terminal">',
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
        *(f'<circle cx="{20 + 18 * index}" cy="18" r="5.5" fill="{fill}"/>'
          for index, fill in enumerate(["#ff5f57", "#febc2e", "#28c840"])),
        f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" '
        f'fill="{INK}" xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        y = 52 + number * 19
        start = 0
        while start < len(line):
            end = start
            while end < len(line) and line[end][1] == line[start][1]:
                end += 1
            text = "".join(letter for letter, _ in line[start:end])
            if text.strip():
                style = "".join(f' {name}="{value}"' for name, value in sorted(line[start][1].items()))
                # Each piece has its place and length, so that it stands in its columns in any font.
                out.append(
                    f'<text x="{16 + start * 8.4:.1f}" y="{y}" textLength="{len(text) * 8.4:.1f}"{style}>'
                    f"{html.escape(text)}</text>"
                )
            start = end
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    programs = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "debug")
    emulator = subprocess.Popen(
        [os.path.join(programs, "ftrack-emulator"), "--tasks", "60", "--api-key", "demo"],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        settings = dict(pair.split("=", 1) for pair in emulator.stdout.readline().split())
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                "PATH": programs, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8",
                "FTRACK_API_SCHEMA_CACHE_PATH": folder, "FTRACK_PROFILES": os.path.join(folder, "none"),
                **settings,
            }
            record("ftrack whoami", [], environment)
            screen = Screen()
            for command, answers in SESSION:
                screen.play(f"\x1b[32m$\x1b[0m \x1b[1m{command}\x1b[0m\n")
                screen.play(record(command, answers, environment))
                if screen.column:
                    screen.play("\r\n")
        # The port is another one each time.
        port = settings["FTRACK_SERVER"]
        picture = draw(screen.lines[:-1]).replace(html.escape(port), "http://127.0.0.1:8080")
    finally:
        emulator.terminate()
        emulator.wait()
    with open(os.path.join(root, "docs", "terminal.svg"), "w", encoding="utf-8") as file:
        file.write(picture)
    print("wrote docs/terminal.svg", file=sys.stderr)


if __name__ == "__main__":
    main()
