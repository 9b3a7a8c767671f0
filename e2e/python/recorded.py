"""Which operations the tests have called, seen where the clients hand their requests to urllib3 and httpx."""

import urllib.parse

import httpx
import urllib3

calls = set()
servers = {}


def watch(api_url):
    """Records requests to the server at `api_url` as well."""
    base = urllib.parse.urlsplit(api_url)
    servers[base.hostname, base.port] = base


def start(api_url):
    """Begins recording requests to the server at `api_url`: ("control", method, path) and ("toolbox", method, path)."""
    watch(api_url)

    def note(host, port, method, path, status):
        base = servers.get((host, port))
        if base is None or status >= 300:
            return
        if path.startswith(base.path + "/"):
            calls.add(("control", method, path[len(base.path) :]))
        elif path.startswith("/toolbox/"):
            calls.add(("toolbox", method, "/" + path.split("/", 3)[3]))

    send = urllib3.connectionpool.HTTPConnectionPool.urlopen

    def urlopen(pool, method, url, *args, **kwargs):
        response = send(pool, method, url, *args, **kwargs)
        note(pool.host, pool.port, method, urllib.parse.urlsplit(url).path, response.status)
        return response

    urllib3.connectionpool.HTTPConnectionPool.urlopen = urlopen
    handle = httpx.HTTPTransport.handle_request

    def handle_request(transport, request):
        response = handle(transport, request)
        note(request.url.host, request.url.port, request.method, request.url.path, response.status_code)
        return response

    httpx.HTTPTransport.handle_request = handle_request


def matches(template, path):
    """Whether a path is one of an operation's: `/sandbox/{id}` and `/sandbox/x`."""
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(w == g or (w.startswith("{") and g) for w, g in zip(wanted, given))
