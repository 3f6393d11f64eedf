"""A queue of work: rank 0 has it, and whoever is free asks for the next piece. Start it on two ranks or more."""

from simsplit import remote


@remote.expose
class Queue:
    """Numbers that are to be factorised, and what was found."""

    def __init__(self, numbers):
        self._waiting = list(numbers)
        self._found = {}

    def next(self):
        """Return a number that nobody has, or None."""
        return self._waiting.pop() if self._waiting else None

    def done(self, number, factors):
        """Take a result."""
        self._found[number] = factors

    def results(self):
        """Return all results so far."""
        return self._found


def factors(number):
    """Return the prime factors of a number."""
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return [*found, number] if number > 1 else found


with remote.join() as here:  # every rank of the job
    if here.rank == 0:
        numbers = range(10**10, 10**10 + 20)
        queue = Queue(numbers)
        here.serve(queue, name="queue")
        here.request_loop(lambda: len(queue.results()) < len(numbers))
        for number, found in sorted(queue.results().items()):
            print(number, "=", " × ".join(map(str, found)))
    else:
        shared = here.proxy("MPINAME:queue")
        while (number := shared.next()) is not None:
            shared.done(number, factors(number))
