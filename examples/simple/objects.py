"""What is called from another rank."""

from simsplit import remote


@remote.expose
class Simple:
    """Four operations, and a method that goes wrong."""

    def mul(self, a, b):
        return a * b

    def add(self, a, b):
        return a + b

    def sub(self, a, b):
        return a - b

    def div(self, a, b):
        return a / b

    def error(self):
        Faulty().begin()


class Faulty:
    """Crashes on purpose, two calls deep."""

    def begin(self):
        self.halve("going down")

    def halve(self, value):
        return value / 2
