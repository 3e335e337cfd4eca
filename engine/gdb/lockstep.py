# lockstep.py: gdb commands for a Lockstep run: live, attached, or a core file.
#
# Reads lockstep_registry (engine/gdb/registry.h) and lockstep_coroutines (engine/task/coroutines.h) as bytes:
# it needs no debug information and calls nothing in the program.
import struct
import subprocess

import gdb

VERSION, COROUTINES_VERSION = 3, 1
HEAD = struct.Struct("<16sIIIIiiIIII128s")
ACTOR = struct.Struct("<32s16s112s112s")
LOCK = struct.Struct("<48s48s112s")
EDGE = struct.Struct("<32s32s64s")
LINE = struct.Struct("<160s")
ACTORS, LOCKS, EDGES = 32, 64, 128
STOP_AT, FORCED_AT = 28, 32
ROOTS = struct.Struct("<16sIIQ")  # magic, version, size, first group
GROUP = struct.Struct("<QQQ")  # next, previous, first coroutine
COROUTINE = struct.Struct("<QQQQQI")  # next, previous, groups, innermost frame, label, number
FRAME = struct.Struct("<QQ")  # awaiter, where
WHERE = struct.Struct("<QQI")  # of std::source_location: file, function, line
COROUTINES_READ, STACKS_SHOWN, FRAMES_SHOWN = 100000, 40, 64


def text(raw):
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def is_there(symbol):
    try:
        gdb.parse_and_eval("(unsigned long)&" + symbol)
        return True
    except gdb.error:
        return False


def is_foreign():
    """True when a program of somebody's own is debugged, whose registry lies in a library that ends with it."""
    return not is_there("lockstep_coroutines")


def address(symbol="lockstep_registry"):
    try:
        return int(gdb.parse_and_eval("(unsigned long)&" + symbol))
    except gdb.error:
        raise gdb.GdbError("no %s: this is no Lockstep program, or it has not started" % symbol)


class Run:
    """How the run stands, read at once."""

    def __init__(self):
        inferior = gdb.selected_inferior()
        start = address()
        head = HEAD.unpack(bytes(inferior.read_memory(start, HEAD.size)))
        if text(head[0]) != "LOCKSTEP-RUN":
            raise gdb.GdbError("the registry is not there yet: the run has not started")
        if head[1] != VERSION:
            raise gdb.GdbError("the program's registry has version %d, this script reads %d" % (head[1], VERSION))
        raw = bytes(inferior.read_memory(start, head[2]))
        (self.step, self.stop_at, self.forced, self.next) = head[3:7]
        counts, self.run = head[7:11], text(head[11])
        at = HEAD.size
        self.actors = self.table(raw, at, ACTOR, counts[0])
        at += ACTOR.size * ACTORS
        self.locks = self.table(raw, at, LOCK, counts[1])
        at += LOCK.size * LOCKS
        self.edges = self.table(raw, at, EDGE, counts[2])
        at += EDGE.size * EDGES
        self.lines = self.table(raw, at, LINE, counts[3])

    @staticmethod
    def table(raw, at, entry, count):
        return [[text(field) for field in entry.unpack_from(raw, at + i * entry.size)] for i in range(count)]

    def index(self, name):
        for i, actor in enumerate(self.actors):
            if actor[0] == name:
                return i
        raise gdb.GdbError("no actor \"%s\"; there are: %s" % (name, ", ".join(a[0] for a in self.actors)))

    def cycle(self):
        """The shortest cycle of waits, as names; empty when there is none."""
        follow = {}
        for source, target, _ in self.edges:
            follow.setdefault(source, []).append(target)
        best = []
        for start in follow:
            paths = [[start]]
            seen = {start}
            while paths:
                path = paths.pop(0)
                for target in follow.get(path[-1], []):
                    if target == start and (not best or len(path) < len(best)):
                        best = path
                    if target not in seen:
                        seen.add(target)
                        paths.append(path + [target])
        return best


def function_name(signature):
    """The name alone: "void a::{anonymous}::body(body(int)::_Z4bodyi.Frame*)" is "body"."""
    signature = signature.replace("(anonymous namespace)", "{anonymous}")
    depth, begin = 0, 0
    for at, letter in enumerate(signature):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if depth == 0 and letter in " :":
            begin = at + 1
        if depth == 0 and letter == "(":
            return signature[begin:at].split("<")[0] or signature
    return signature


class Coroutines:
    """The coroutines of the program, with their logical stacks, as they stand in memory."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        magic, version, _, first_group = self.read(ROOTS, address("lockstep_coroutines"))
        if text(magic) != "LOCKSTEP-TASKS":
            raise gdb.GdbError("the list of coroutines is not there yet: the program has not started")
        if version != COROUTINES_VERSION:
            raise gdb.GdbError("the program's list of coroutines has version %d, this script reads %d"
                               % (version, COROUTINES_VERSION))
        self.places = {}  # by address: "function at file:line"
        self.left = COROUTINES_READ
        self.roots = self.of_groups(first_group)

    def read(self, layout, address):
        return layout.unpack(bytes(self.inferior.read_memory(address, layout.size)))

    def string(self, address):
        raw = b""
        while address and b"\0" not in raw and len(raw) < 1024:
            # Never beyond the end of a page: what comes next may not be there.
            part = min(64, 4096 - (address + len(raw)) % 4096)
            raw += bytes(self.inferior.read_memory(address + len(raw), part))
        return text(raw)

    def place(self, address):
        if address not in self.places:
            file, function, line = self.read(WHERE, address)
            path = self.string(file)
            while path.startswith("../"):  # as the compiler was called
                path = path[3:]
            self.places[address] = "%s at %s:%d" % (function_name(self.string(function)), path, line)
        return self.places[address]

    def stack(self, frame):
        """Innermost first."""
        places = []
        while frame and len(places) < FRAMES_SHOWN:
            frame, where = self.read(FRAME, frame)
            if where:
                places.append(self.place(where))
        return places

    def of_groups(self, group):
        """[(name, stack, children)] of a list of groups, in the order in which they began."""
        found = []
        while group:
            group, _, coroutine = self.read(GROUP, group)
            members = []
            while coroutine and self.left > 0:
                self.left -= 1
                coroutine, _, groups, frame, label, number = self.read(COROUTINE, coroutine)
                name = self.string(label) + (" %d" % number if number else "")
                members.append((name, self.stack(frame), self.of_groups(groups)))
            found = members[::-1] + found
        return found


def show_stack(places, indent):
    for i, place in enumerate(places):
        print("%s#%-2d %s" % (indent, i, place))


def show_coroutines(coroutines, indent=""):
    """Those that stand alike, without children, are shown once."""
    alike = {}
    for i, (name, places, children) in enumerate(coroutines):
        alike.setdefault((i if children else -1, tuple(places)), []).append((name, children))
    for count, ((_, places), members) in enumerate(alike.items()):
        if count == STACKS_SHOWN:
            print("%s... and %d other stacks" % (indent, len(alike) - count))
            break
        name, children = members[0]
        more = " and %d more" % (len(members) - 1) if len(members) > 1 else ""
        print("%s%s%s%s" % (indent, name, more, "" if places else "   runs, or is about to"))
        show_stack(places, indent + "    ")
        show_coroutines(children, indent + "  ")


def poke(offset, value, kind):
    gdb.selected_inferior().write_memory(address() + offset, struct.pack(kind, value))


def rerun(step):
    """From the begin to that step: the schedule is the same every time."""
    gdb.execute("set environment LOCKSTEP_DEBUG %d" % step)
    gdb.execute("set confirm off")
    gdb.execute("run", to_string=True)


def show_where():
    run = Run() if gdb.selected_inferior().pid or not is_foreign() else None
    if run is None or not run.actors:
        print("the run is over" if gdb.selected_inferior().pid or is_foreign() else "no process")
        return
    next_name = run.actors[run.next][0] if 0 <= run.next < len(run.actors) else "nobody"
    doing = run.actors[run.next][2] if 0 <= run.next < len(run.actors) else ""
    print("step %d: next %s  %s" % (run.step, next_name, doing))


class Lockstep(gdb.Command):
    """lockstep: how a run stands, and its steps back and forth."""

    def __init__(self):
        super().__init__("lockstep", gdb.COMMAND_DATA, prefix=True)


class Actors(gdb.Command):
    """lockstep actors: who there is, what each does, whom it waits for; of suspended coroutines their logical stacks."""

    def __init__(self):
        super().__init__("lockstep actors", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        # A program of tasks alone has no registry of a run, and a program of somebody's own no coroutines of ours.
        run = Run() if is_there("lockstep_registry") or not is_there("lockstep_coroutines") else None
        actors = run.actors if run else []
        coroutines = Coroutines() if is_there("lockstep_coroutines") else None
        roots = coroutines.roots if coroutines else []
        if not actors and not roots:
            print("nobody: the run has not begun, or is over")
            return
        if actors:
            print("%s, step %d" % (run.run, run.step))
        stacks = {name: places for name, places, _ in roots}
        names = {actor[0] for actor in actors}
        for i, (name, state, doing, waits) in enumerate(actors):
            print("%s %-12s %-11s %s%s" % ("*" if i == run.next else " ", name, state, doing,
                                            "   waits for " + waits if waits else ""))
            show_stack(stacks.get(name, []), "      ")
        show_coroutines([root for root in roots if root[0] not in names])
        if coroutines and coroutines.left == 0:
            print("... and others: the first %d were read" % COROUTINES_READ)


class Locks(gdb.Command):
    """lockstep locks: what is held, how, by whom, and where it was taken."""

    def __init__(self):
        super().__init__("lockstep locks", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        run = Run()
        if not run.locks:
            print("nothing is held")
        for name, how, where in run.locks:
            print("  %-20s %-28s %s" % (name, how, where))


class Graph(gdb.Command):
    """lockstep graph: who waits for whom; the cycle, if there is one."""

    def __init__(self):
        super().__init__("lockstep graph", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        run = Run()
        if not run.edges:
            print("nobody waits for anybody")
        for source, target, thing in run.edges:
            print("  %s --%s--> %s" % (source, " wants " + thing + " " if thing else "", target))
        cycle = run.cycle()
        if cycle:
            print("cycle: %s" % " -> ".join(cycle + cycle[:1]))


class History(gdb.Command):
    """lockstep history [N]: the latest N events (default: 20)."""

    def __init__(self):
        super().__init__("lockstep history", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        count = int(argument) if argument.strip() else 20
        for (line,) in Run().lines[-count:]:
            print(line)


class Pending(gdb.Command):
    """lockstep pending: what each actor is about to do, or waits in."""

    def __init__(self):
        super().__init__("lockstep pending", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for name, state, doing, _ in Run().actors:
            if doing:
                print("  %-12s %s%s" % (name, doing, "" if state != "waits" else "   (waits)"))


class Why(gdb.Command):
    """lockstep why ACTOR: why it does not go on, as far as the chain of waits leads."""

    def __init__(self):
        super().__init__("lockstep why", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        run = Run()
        name = argument.strip()
        state = run.actors[run.index(name)]
        if state[1] != "waits":
            print("%s does not wait: it is %s%s" % (name, state[1], ", next: " + state[2] if state[2] else ""))
            return
        seen = []
        while name not in seen:
            seen.append(name)
            out = [edge for edge in run.edges if edge[0] == name]
            if not out:
                print("  %s is not blocked" % name)
                return
            print("  %s waits for %s%s" % (name, ", ".join(edge[1] for edge in out),
                                            ", which has " + out[0][2] if out[0][2] else ""))
            name = out[0][1]
        print("  ... and so %s waits for itself: a deadlock" % name)


class Step(gdb.Command):
    """lockstep step [N]: N steps of the schedule on (default: 1)."""

    def __init__(self):
        super().__init__("lockstep step", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        count = int(argument) if argument.strip() else 1
        poke(STOP_AT, Run().step + count, "<I")
        gdb.execute("continue", to_string=True)
        show_where()


class Back(gdb.Command):
    """lockstep back: to the state before the latest step."""

    def __init__(self):
        super().__init__("lockstep back", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        goto(max(Run().step - 1, 0))


class Goto(gdb.Command):
    """lockstep goto N: to the state after N steps of the schedule, forwards or back."""

    def __init__(self):
        super().__init__("lockstep goto", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        goto(int(argument))


def goto(step):
    run = Run()
    if step > run.step:
        poke(STOP_AT, step, "<I")
        gdb.execute("continue", to_string=True)
    else:
        rerun(step)
    show_where()


class Schedule(gdb.Command):
    """lockstep schedule ACTOR: lets that actor take the next step instead; from there on the recording is left."""

    def __init__(self):
        super().__init__("lockstep schedule", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        run = Run()
        index = run.index(argument.strip())
        if run.actors[index][1] != "ready":
            raise gdb.GdbError("%s cannot go: it is %s" % (argument.strip(), run.actors[index][1]))
        poke(FORCED_AT, index, "<i")
        poke(STOP_AT, run.step + 1, "<I")
        gdb.execute("continue", to_string=True)
        show_where()


class Serve(gdb.Command):
    """lockstep serve COMMAND: starts what tells a program of one's own its schedule; it ends with gdb."""

    server = None

    def __init__(self):
        super().__init__("lockstep serve", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        if Serve.server:
            Serve.server.stdin.close()
            Serve.server.wait()
        # In a session of its own: ^C is for the program that is debugged.
        Serve.server = subprocess.Popen(gdb.string_to_argv(argument), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        start_new_session=True, universal_newlines=True)
        for line in Serve.server.stdout:
            if line == "\n":
                return
            gdb.execute(line.rstrip("\n"))
        raise gdb.GdbError("nobody serves the program")


for command in (Lockstep, Serve, Actors, Locks, Graph, History, Pending, Why, Step, Back, Goto, Schedule):
    command()
gdb.execute("set pagination off")
gdb.execute("set breakpoint pending on")
