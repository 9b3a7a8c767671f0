CONTROL = 4
READY, SENSITIVE = b"R", b"S"
HERE, BEGINS, STALE = b"H", b"B", b"S"
# Packages' start-up code that reads no variable but those that are compared anyway.
HARMLESS = ("distutils-precedence.pth", "_distutils_hack")
# Where a fork keeps what is not its program's.
ABOVE = 64


def mark(path):
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return None
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def start_files(program):
    """What has a say in how an interpreter starts: when one changes, a new start may be another one."""
    folder = os.path.dirname(program)
    paths = {program, os.path.join(folder, "pyvenv.cfg")}
    paths.add(os.path.join(os.path.dirname(folder), "pyvenv.cfg"))
    folders = set(sys.path)
    for name in ("getsitepackages", "getusersitepackages"):
        find = getattr(sys.modules.get("site"), name, None)
        found = find() if find else []
        folders.update(found if isinstance(found, list) else [found])
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        paths.update(os.path.join(folder, name) for name in names if name.endswith(".pth"))
    paths |= folders
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            paths.add(file)
    return sorted(path for path in paths if not path.startswith(OWN % 3))


def reads_variables(paths):
    """Whether start-up code that is not Python's own seems to depend on variables."""
    own = os.path.dirname(os.__file__) + os.sep
    for path in paths:
        name = os.path.basename(path)
        if not name.endswith((".pth", ".py")) or any(part in path for part in HARMLESS):
            continue
        if path.startswith(own) and name != "sitecustomize.py":
            if not path[len(own) :].startswith(("site-packages", "dist-packages")):
                continue
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError:
            return True
        if b"environ" in text or b"getenv" in text:
            return True
    return False


def can_fork():
    """Threads and open files of start-up code would be shared."""
    if len(os.listdir("/proc/self/task")) != 1:
        return False
    for name in os.listdir("/proc/self/fd"):
        if int(name) > CONTROL:
            try:
                os.fstat(int(name))
            except OSError:
                # The folder that was listed.
                continue
            return False
    return True


def receive(socket, size, most):
    """Bytes and descriptors."""
    data, parts, _, _ = socket.recvmsg(size, most * 4 + 64)
    found = []
    for _, _, raw in parts:
        found += [int.from_bytes(raw[at : at + 4], sys.byteorder) for at in range(0, len(raw), 4)]
    return data, found


def receive_all(socket, size):
    pieces = []
    while size:
        piece = socket.recv(min(size, 1 << 20))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def fork(control):
    """Answers each message with a new process, and returns in that process what came with the message."""
    while True:
        data, descriptors = receive(control, 1, 8)
        if not data:
            os._exit(0)
        gate, lock = os.pipe()
        between = os.fork()
        if between == 0:
            # The process between the two ends at once: the new one becomes a child of the daemon.
            if os.fork():
                os._exit(0)
            break
        os.close(gate)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(between, 0)
        os.close(lock)
    control.close()
    os.close(lock)
    os.setsid()
    for entrance in descriptors[1:]:
        os.write(entrance, b"0")
        os.close(entrance)
    # Ends when the process between is gone, and its end has been noticed.
    os.read(gate, 1)
    os.close(gate)
    return descriptors[0]


def take_over(socket, program, marks):
    """Waits for work and takes on its folder, arguments and variables; gives its descriptors."""
    # Each object that is touched gets memory of its own, which the program would wait for otherwise.
    for _ in gc.get_objects():
        pass
    socket.sendall(HERE)
    head, descriptors = receive(socket, 8, 40)
    if not head:
        os._exit(0)
    head += receive_all(socket, 8 - len(head))
    fields = receive_all(socket, int.from_bytes(head, "little")).split(b"\0")
    folder, has_charts, candidates, arguments = fields[0], fields[1] == b"1", int(fields[2]), int(fields[3])
    candidates, fields = fields[4 : 4 + candidates], fields[4 + candidates :]
    arguments, variables = fields[:arguments], fields[arguments:]
    for candidate in candidates:
        if candidate == program or os.access(candidate, os.X_OK):
            break
    if candidate != program or any(mark(path) != was for path, was in marks):
        socket.sendall(STALE)
        os._exit(0)
    try:
        os.chdir(folder)
    except OSError:
        # A new start says why not.
        socket.sendall(STALE)
        os._exit(0)
    arguments = [os.fsdecode(argument) for argument in arguments]
    sys.argv[1:] = arguments
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[3:] = arguments
    os.environ.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    return descriptors, has_charts


def lift(descriptor):
    """The same at a number above those that a program may be given."""
    lifted = os.dup(descriptor)
    if lifted >= ABOVE:
        return lifted
    try:
        return lift(lifted)
    finally:
        os.close(lifted)


def place(socket, descriptors, has_charts):
    """Leaves the process its own descriptors and no others; gives that for charts."""
    lifted = [lift(descriptor) for descriptor in descriptors]
    last = lift(socket.detach())
    charts = lifted.pop() if has_charts else None
    for number, descriptor in enumerate(lifted):
        os.dup2(descriptor, number)
    os.closerange(len(lifted), ABOVE)
    os.write(last, BEGINS)
    for descriptor in lifted:
        os.close(descriptor)
    os.close(last)
    return charts


def begin(loader):
    source = loader.get_data(OWN % 3 + "/charts.py")
    begun = os.fstat(3).st_mtime_ns
    forget_archive(3)
    error = import_own()
    with open("/proc/self/cmdline", "rb") as file:
        program = file.read().split(b"\0", 1)[0]
    paths = start_files(os.fsdecode(program))
    marks = [(path, mark(path)) for path in paths]
    if any(was is not None and was[3] >= begun for _, was in marks) or not can_fork():
        os._exit(0)
    os.close(3)
    before = set(sys.modules)
    import _socket

    global gc
    import gc

    control = _socket.socket(fileno=CONTROL)
    control.send(SENSITIVE if reads_variables(paths) else READY)
    socket = _socket.socket(fileno=fork(control))
    descriptors, has_charts = take_over(socket, program, marks)
    charts = place(socket, descriptors, has_charts)
    for name in set(sys.modules) - before:
        del sys.modules[name]
    if charts is not None:
        plot(charts, source)
    return error


def begin_or_end(loader):
    try:
        return begin(loader)
    except BaseException:
        # Nobody but the daemon waits for it, and that finds another way.
        os._exit(1)


def go_on(error):
    if error is not None:
        raise error


go_on(begin_or_end(__loader__))
