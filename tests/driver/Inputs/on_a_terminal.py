"""Runs a command on a terminal of its own and prints what a person saw: on_a_terminal.py COLUMNS STOP_AFTER COMMAND…

Every state of the line that was rewritten, as `now: …`; the screen at the end, as `end: …`; how often a line was too long and
went on in the next one. After STOP_AFTER rewritings (0: never) Ctrl-C is typed.
"""
import fcntl
import os
import pty
import struct
import sys
import termios

columns, stop_after, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.environ["TERM"] = "xterm"
    os.execvp(command[0], command)

seen, stopped = b"", False
while True:
    try:
        some = os.read(terminal, 65536)
    except OSError:  # the other side is closed
        break
    if not some:
        break
    seen += some
    if stop_after and not stopped and seen.count(b"\x1b[K") >= stop_after:
        os.write(terminal, b"\x03")
        stopped = True
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

# A progress line that would be wrapped is what matters; notes may be long.
rewritten = [part.split("\n")[0] for part in seen.decode().split("\r\x1b[K")[1:]]
wrapped = sum(len(line) >= columns for line in rewritten if line and line[0].isdigit() or line.startswith("fit ") and "left" in line)
screen = [""]
for part in seen.decode().replace("\r\n", "\n").replace("\r\x1b[K", "\r").split("\n"):
    screen.append(part.split("\r")[-1])
for line in rewritten:
    print("now:", line)
for line in screen:
    if line:
        print("end:", line)
print("wrapped:", wrapped, "control characters left:", sum("\x1b" in line for line in screen), "code:", code)
