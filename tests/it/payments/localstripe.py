"""localstripe on a free port of 127.0.0.1, printed first; its own command listens on every interface and keeps
its store in a file that all runs share. It ends when its input is closed."""
import os
import socket
import sys
import threading

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda self: None
place = socket.socket()
place.bind(("127.0.0.1", 0))
print(place.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
web.run_app(server.app, sock=place, print=None, access_log=None)
