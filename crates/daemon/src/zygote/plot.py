NUMBER = 63


def begin(loader):
    own = OWN % 3
    source = loader.get_data(own + "/charts.py")
    forget_archive(3)
    error = import_own()
    os.dup2(4, NUMBER, inheritable=False)
    os.close(3)
    os.close(4)
    plot(NUMBER, source)
    if error is not None:
        raise error


begin(__loader__)
