"""What an interpreter finds as `sitecustomize` when it is started by the daemon with an archive on its path.

It is the last but one thing that an interpreter looks for before it runs its program. It puts everything back as if it
had never been there, and hands over to the `sitecustomize` that the interpreter would have found. When it returns, the
interpreter itself goes on with what is its standard input by then: nothing of this runs beneath the program.
"""

import os
import sys

OWN = "/proc/self/fd/%d"


def forget_archive(number):
    own = OWN % number
    sys.path[:] = [path for path in sys.path if path != own]
    sys.path_importer_cache.pop(own, None)
    zipimport = sys.modules.get("zipimport")
    if zipimport is not None:
        zipimport._zip_directory_cache.pop(own, None)
    path = os.environ.pop("PYTHONPATH", "").split(os.pathsep, 1)
    if len(path) == 2:
        os.environ["PYTHONPATH"] = path[1]


def import_own():
    """Gives what came of the sitecustomize that would have been imported instead of this."""
    sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize
    except BaseException as error:
        return error
    return None


def plot(number, source):
    """Has figures written to a descriptor; costs nothing until matplotlib is imported."""
    names = {"DESCRIPTOR": number}
    try:
        exec(compile(source, "<frozen importlib._bootstrap>", "exec"), names)
        sys.meta_path.insert(0, names["Finder"]())
    except Exception:
        # The program runs without.
        pass
