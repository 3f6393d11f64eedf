"""The client rank: it finds the object by its name, and calls it as if it were here."""

import sys
import traceback

from simsplit import remote

with remote.join() as here:
    simple = here.proxy("MPINAME:simple")
    print(simple.mul(111, 9))
    print(simple.add(100, 222))
    print(simple.sub(222, 100))
    print(simple.div(2.0, 9.0))
    print(simple.mul(".", 5))
    print(simple.add("String1", "String2"))
    print("A method that crashes on the server:")
    try:
        simple.error()
    except TypeError:
        traceback.print_exc(file=sys.stdout)
