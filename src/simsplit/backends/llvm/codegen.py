"""Generate LLVM assembly from the graph of a kernel: one loop over steps and values.

The code is written with vectors of 64 bytes, which LLVM splits into what the processor has. No instruction
carries a fast-math flag, so that LLVM neither reorders nor contracts: each operation is rounded once, as
NumPy rounds it. One thing is free in IEEE 754, and chosen differently by compilers: which NaN comes out of
two. So the code also tells which blocks have a NaN among their results, or a zero whose sign NumPy alone knows;
those are left to NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ir import BOOL, ZERO, IRBuilder, memory, type_of, vector_of
from .loop_spec import VECTOR
from .lowering import LaneContext, NodeLowering

if TYPE_CHECKING:
    from .loop_spec import LoopSpec

_SIGNATURE = (
    "ptr %out, i64 %step_bytes, ptr %x, ptr %table, ptr %arrays, i64 %steps, i64 %outer, i64 %inner, i64 %first, "
    "ptr %flags, ptr %heads"
)


def assembly(loop: LoopSpec) -> str:
    """Return a module with the functions ``plain`` and ``stream``; the latter writes past the cache.

    Both are ``void (out, step_bytes, x, table, arrays, steps, outer, inner, first, flags, heads)``: pointers and
    64-bit integers. Step j goes to ``out + j * step_bytes``. ``table`` has 8 bytes for each number of a step,
    ``arrays`` the addresses of the parameters; there are ``outer * inner`` items, ``first`` is the number of
    the first row. ``flags`` gets a byte for each block: whether it is left to NumPy. ``stream`` alone reads
    ``heads``: how many items of step j lie before one that starts on a cache line.
    """
    writers = [_Function(loop, stream=stream) for stream in (False, True)]
    functions = [writer.function() for writer in writers]
    declared = sorted(set().union(*(writer.declarations for writer in writers)))
    return "\n".join([*declared, *functions, "!0 = !{i32 1}", ""])


class _Function(IRBuilder):
    """Writes one function."""

    def __init__(self, loop: LoopSpec, *, stream: bool) -> None:
        super().__init__()
        self.loop = loop
        self.stream = stream

    def function(self) -> str:
        """Return the text of the function."""
        loop, state = self.loop, self.loop.results[0].dtype
        self.line(f"define void @{'stream' if self.stream else 'plain'}({_SIGNATURE}) nounwind {{")
        self.line("entry:")
        scratch = ""
        if loop.kind == "step" and self.stream:  # what went past the cache is not to be read again
            scratch = "%scratch"
            self.line(f"{scratch} = alloca [{loop.block * loop.components} x {memory(state)}], align {VECTOR}")
        variables = ("o", "b", "j", "i", "flag")
        for name in variables:
            self.line(f"%{name}.at = alloca i64")
        self.line("%source.at = alloca ptr")
        self.line(f"%more = add i64 %inner, {loop.block - 1}")
        self.line(f"%blocks = udiv i64 %more, {loop.block}")
        with self.counting("o", "0", "%outer", 1) as o, self.counting("b", "0", "%inner", loop.block) as b:
            left = self.value(f"sub i64 %inner, {b}")
            items = self.value(f"call i64 @llvm.umin.i64(i64 {left}, i64 {loop.block})")
            self.declarations.add("declare i64 @llvm.umin.i64(i64, i64)")
            base = self.value(f"add i64 {self.value(f'mul i64 {o}, %inner')}, {b}")
            self.line("store i64 0, ptr %flag.at")
            first = self.address("%x", base, loop.dtype, loop.components)
            self.line(f"store ptr {first}, ptr %source.at")
            with self.counting("j", "0", "%steps", 1) as j:
                start = self.value(f"getelementptr i8, ptr %out, i64 {self.value(f'mul i64 {j}, %step_bytes')}")
                target = self.address(start, base, state, loop.components)
                self.step(o, base, j, items, target, scratch)
                if loop.kind == "step":
                    self.line(f"store ptr {scratch or target}, ptr %source.at")
            flag = self.value(f"trunc i64 {self.value('load i64, ptr %flag.at')} to i8")
            number = self.value(f"udiv i64 {b}, {loop.block}")
            place = self.value(f"add i64 {self.value(f'mul i64 {o}, %blocks')}, {number}")
            self.line(f"store i8 {flag}, ptr {self.value(f'getelementptr i8, ptr %flags, i64 {place}')}")
        if self.stream:
            self.line("fence seq_cst")  # what went past the cache is there before anyone is told so
        self.line("ret void\n}")
        return "\n".join(self.lines)

    def step(self, o: str, base: str, j: str, items: str, target: str, scratch: str) -> None:
        """Write one step of a block: vectors, and what is left at either end one by one."""
        source = self.value("load ptr, ptr %source.at")
        numbers = self.numbers(j)
        width, ends = self.loop.width, []
        if self.stream:
            head = self.value(f"load i64, ptr {self.value(f'getelementptr i64, ptr %heads, i64 {j}')}")
            head = self.value(f"call i64 @llvm.umin.i64(i64 {head}, i64 {items})")
            ends.append(("0", head, 1))
        else:
            head = "0"
        whole = self.value(f"and i64 {self.value(f'sub i64 {items}, {head}')}, {-width}")
        tail = self.value(f"add i64 {head}, {whole}")
        for begin, end, lanes in (*ends, (head, tail, width), (tail, items, 1)):
            with self.counting("i", begin, end, lanes) as i:
                values = NodeLowering(self, self.loop, LaneContext(lanes, source, numbers, o, base, i))
                results = [values.of(node) for node in self.loop.results]
                self.note(results, values.doubts, lanes)
                for place in dict.fromkeys(filter(None, (target, scratch))):
                    self.store(results, lanes, place, i, past_cache=self.stream and place == target and lanes > 1)

    def numbers(self, j: str) -> list[str]:
        """Load the numbers of step `j`."""
        loaded = []
        count = len(self.loop.trace.numbers)
        for index, (_, dtype) in enumerate(self.loop.trace.numbers):
            place = self.value(f"add i64 {self.value(f'mul i64 {j}, {count}')}, {index}")
            at = self.value(f"getelementptr i64, ptr %table, i64 {place}")
            loaded.append(self.load(dtype, 1, at))
        return loaded

    def note(self, results: list[str], doubts: list[str], lanes: int) -> None:
        """Remember whether there is a NaN among the results, or a doubt."""
        dtype, found = self.loop.results[0].dtype, list(doubts)
        if dtype.kind == "f":
            found += [self.value(f"fcmp uno {type_of(dtype, lanes)} {result}, {ZERO}") for result in results]
        if not found:
            return
        every = found[0]
        for each in found[1:]:
            every = self.value(f"or {type_of(BOOL, lanes)} {every}, {each}")
        bits = every if lanes == 1 else self.value(f"bitcast <{lanes} x i1> {every} to i{lanes}")
        if lanes > 1:
            bits = self.value(f"icmp ne i{lanes} {bits}, 0")
        before = self.value("load i64, ptr %flag.at")
        after = self.value(f"or i64 {before}, {self.value(f'zext i1 {bits} to i64')}")
        self.line(f"store i64 {after}, ptr %flag.at")

    def store(self, results: list[str], lanes: int, start: str, i: str, *, past_cache: bool) -> None:
        """Write the results of some items, component by component or as one interleaved vector."""
        dtype, count = self.loop.results[0].dtype, len(results)
        if dtype.kind == "b":
            results = [
                self.value(f"zext {type_of(dtype, lanes)} {each} to {vector_of('i8', lanes)}") for each in results
            ]
        element = memory(dtype)
        at = self.address(start, i, dtype, count)
        if lanes == 1:
            for number, result in enumerate(results):
                place = self.value(f"getelementptr {element}, ptr {at}, i64 {number}")
                self.line(f"store {element} {result}, ptr {place}, align {dtype.itemsize}")
            return
        joined, length = results[0], lanes
        for result in results[1:]:
            wide = self.shuffle(element, lanes, result, [*range(lanes), *[-1] * (length - lanes)])
            joined = self.shuffle(element, length, joined, [*range(length), *range(length, length + lanes)], wide)
            length += lanes
        if count > 1:
            order = [component * lanes + item for item in range(lanes) for component in range(count)]
            joined = self.shuffle(element, length, joined, order)
        nbytes = length * dtype.itemsize  # a power of two, or three times one: vectors follow one another
        align, hint = (min(VECTOR, nbytes & -nbytes), ", !nontemporal !0") if past_cache else (dtype.itemsize, "")
        self.line(f"store {vector_of(element, length)} {joined}, ptr {at}, align {align}{hint}")
