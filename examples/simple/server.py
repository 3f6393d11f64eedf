"""The server rank: it serves until no rank needs it any more."""

from objects import Simple

from simsplit import remote

with remote.join() as here:
    here.serve(Simple(), name="simple")
    here.request_loop()
