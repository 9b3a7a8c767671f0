"""A context: runs one piece of code after the other in one namespace.

It speaks with the daemon over a socket that it found as descriptor 3 and keeps at a high number. What comes over it is
16 bytes and two texts: the run's number, both lengths, the code, the variables. What goes over it are messages: a letter,
the run's number, a length, a text. Output goes where output goes. Python 3.8 is the oldest that this is written for.
"""

import _signal
import builtins
import os
import sys

OWN = "<interpreter>"
# What tracebacks call the code of a run, and how a run is told from others until then.
SHOWN, PREFIX = "<stdin>", "<stdin-"
ABOVE = 100
MOST_NAME, MOST_VALUE, MOST_TRACEBACK = 1 << 10, 32 << 10, 64 << 10
# How much source is kept for the tracebacks of later runs.
MOST_SOURCE = 16 << 20
PROGRAM_STARTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}


class State:
    is_running = False
    process = os.getpid()
    kept = {}
    kept_size = 0
    modules = 0
    is_native = False


def import_own(*names):
    """Imports modules that this needs: never files of the folder that have their names."""
    path = sys.path[:]
    sys.path[:] = [folder for folder in path if folder]
    try:
        for name in names:
            globals()[name] = __import__(name)
    finally:
        sys.path[:] = path


def lift(descriptor):
    """The same at a number that no program looks for."""
    lifted = os.dup(descriptor)
    if lifted >= ABOVE:
        return lifted
    try:
        return lift(lifted)
    finally:
        os.close(lifted)


def receive(control, size):
    pieces = []
    while size:
        piece = os.read(control, min(size, 1 << 20))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def send(control, kind, run, payload=b""):
    left = memoryview(kind + run.to_bytes(8, "little") + len(payload).to_bytes(4, "little") + payload)
    while left:
        left = left[os.write(control, left) :]


def on_interrupt(_signal, _frame):
    if State.is_running:
        raise KeyboardInterrupt


def on_event(event, _arguments):
    # What was printed before a program starts comes before what the program prints.
    if event in PROGRAM_STARTS and State.is_running:
        flush()


def flush():
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except Exception:
            # It was replaced, closed or deleted.
            pass


def flush_native():
    """Has libraries that print by C's means print what they hold back."""
    modules = len(sys.modules)
    if modules != State.modules and not State.is_native:
        State.modules = modules
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            is_library = isinstance(file, str) and ".so" in file and "lib-dynload" not in file
            if is_library or name in ("_ctypes", "_cffi_backend"):
                State.is_native = True
    if State.is_native:
        import_own("ctypes")
        ctypes.CDLL(None).fflush(None)


class Standard:
    """The three standard descriptors and streams, as they are when a run begins."""

    def __init__(self):
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self.kept = [lift(number) for number in range(3)]
        self.marks = [self.mark(number) for number in self.kept]
        self.streams = [None, None, None]

    @staticmethod
    def mark(number):
        try:
            stat = os.fstat(number)
        except OSError:
            return None
        return (stat.st_dev, stat.st_ino)

    def put_back(self):
        for number, kept in enumerate(self.kept):
            if self.mark(number) != self.marks[number]:
                os.dup2(kept, number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = self.streams[number]
            if stream is None or stream.closed:
                mode = "r" if number == 0 else "w"
                errors = "backslashreplace" if number == 2 else "surrogateescape"
                stream = open(number, mode, 1, encoding="utf-8", errors=errors, closefd=False)
                stream.mode = mode
                self.streams[number] = stream
            if getattr(sys, name, None) is not stream:
                setattr(sys, name, stream)
                setattr(sys, "__" + name + "__", stream)


def display(*objects, **_options):
    """Prints what objects are, one a line."""
    for each in objects:
        print(repr(each))


def keep_source(name, code):
    """Lets tracebacks of this and later runs show the lines of the code."""
    lines = [line + "\n" for line in code.splitlines()]
    linecache.cache[name] = (len(code), None, lines, name)
    State.kept[name] = len(code)
    State.kept_size += len(code)
    while State.kept_size > MOST_SOURCE and len(State.kept) > 1:
        oldest = next(iter(State.kept))
        State.kept_size -= State.kept.pop(oldest)
        linecache.cache.pop(oldest, None)


def cut(text, most):
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return data
    half = most // 2
    note = "\n[... %d bytes are left out ...]\n" % (len(data) - 2 * half)
    head = data[:half].decode("utf-8", "ignore")
    tail = data[-half:].decode("utf-8", "ignore")
    return (head + note + tail).encode("utf-8", "backslashreplace")


def shown(name):
    return SHOWN if isinstance(name, str) and name.startswith(PREFIX) else name


def tell(error):
    """Name, value and traceback, without what is not the user's."""
    try:
        name = type(error).__name__
    except BaseException:
        name = "Exception"
    try:
        if isinstance(error, SyntaxError):
            error.filename = shown(error.filename)
        value = str(error)
    except BaseException:
        value = "<exception str() failed>"
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__)
        seen, left = set(), [whole]
        while left:
            each = left.pop()
            if each is None or id(each) in seen:
                continue
            seen.add(id(each))
            each.stack[:] = [frame for frame in each.stack if frame.filename != OWN]
            for frame in each.stack:
                frame.filename = shown(frame.filename)
            if hasattr(each, "filename"):
                each.filename = shown(each.filename)
            left += [each.__cause__, each.__context__]
            left += getattr(each, "exceptions", None) or []
        text = "".join(whole.format())
    except BaseException:
        text = "%s: the traceback could not be made\n" % name
    return cut(name, MOST_NAME), cut(value, MOST_VALUE), cut(text, MOST_TRACEBACK)


def leave_child(error):
    """What a run forked ends where the run would."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        status = 1
        sys.stderr.write(tell(error)[2].decode())
    flush()
    os._exit(status & 255)


def run(number, code, names, standard):
    """Runs code; gives what it raised."""
    name = "%s%d>" % (PREFIX, number)
    standard.put_back()
    _signal.signal(_signal.SIGINT, on_interrupt)
    try:
        try:
            State.is_running = True
            keep_source(name, code)
            exec(compile(code, name, "exec", 0, True), names)
        finally:
            State.is_running = False
    except BaseException as error:
        return error
    return None


def finish(error):
    """The kind of the last message, and what it says."""
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            try:
                print(error.code, file=sys.stderr)
            except Exception:
                pass
        return b"C", b""
    if error is None:
        return b"C", b""
    name, value, text = tell(error)
    told = len(name).to_bytes(4, "little") + len(value).to_bytes(4, "little") + name + value + text
    return (b"I" if isinstance(error, KeyboardInterrupt) else b"E"), told


def serve():
    control = lift(3)
    os.close(3)
    standard = Standard()
    main = type(sys)("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    builtins.display = display
    sys.argv[:] = [""]
    for function in list(globals().values()):
        if hasattr(function, "__code__"):
            function.__code__ = function.__code__.replace(co_filename=OWN)
    standard.put_back()
    _signal.signal(_signal.SIGINT, on_interrupt)
    sys.addaudithook(on_event)
    send(control, b"R", 0)
    # Nobody waits for these.
    import_own("linecache", "traceback")
    while True:
        head = receive(control, 16)
        number = int.from_bytes(head[:8], "little")
        code = receive(control, int.from_bytes(head[8:12], "little")).decode("utf-8", "replace")
        variables = receive(control, int.from_bytes(head[12:], "little")).decode("utf-8", "surrogateescape")
        variables = dict(variable.split("=", 1) for variable in variables.split("\0") if variable)
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        error = run(number, code, main.__dict__, standard)
        if os.getpid() != State.process:
            leave_child(error)
        kind, told = finish(error)
        error = code = None
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        flush()
        try:
            flush_native()
        except Exception:
            # There is no such library.
            pass
        send(control, kind, number, told)


serve()
