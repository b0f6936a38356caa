"""Objects in memory without LLVM: the same code as LLVM's own loader gives, or none."""

import ctypes
import gc
import platform
import struct
import sys

import numpy as np
import pytest

from pullback.engines.native import linking, machine

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="LLVM loads objects on other systems",
)

NUMBER = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)

TEXT = """
@given = external global i8
@table = internal constant [4 x i64] [i64 3, i64 5, i64 7, i64 11], align 64
@count = internal global i64 100, align 8
@room = internal global [1000 x i64] zeroinitializer, align 64
declare i64 @labs(i64)
declare i64 @helper(i64)

define internal i64 @twice(i64 %x) noinline {
  %y = mul i64 %x, 2
  ret i64 %y
}
define i64 @sum(i64 %i) {
  %at = getelementptr i64, ptr @table, i64 %i
  %a = load i64, ptr %at
  %g = load i64, ptr @given
  %b = call i64 @labs(i64 -1000)
  %c = call i64 @helper(i64 %i)
  %d = call i64 @twice(i64 %a)
  %x = add i64 %d, %g
  %y = add i64 %b, %c
  %z = add i64 %x, %y
  ret i64 %z
}
define i64 @next(i64 %by) {
  %old = load i64, ptr @count
  %new = add i64 %old, %by
  store i64 %new, ptr @count
  %at = getelementptr i64, ptr @room, i64 999
  store i64 %new, ptr %at
  %again = load i64, ptr %at
  ret i64 %again
}
define double @third(double %x) {
  %y = fmul double %x, 0x3FD5555555555555
  ret double %y
}
"""


@NUMBER
def helper(i):
    return 10_000 * i


GIVEN = np.array([1_000_000], np.int64)
SYMBOLS = {"given": GIVEN.ctypes.data, "helper": ctypes.cast(helper, ctypes.c_void_p).value}


@pytest.fixture(scope="module")
def image():
    return machine.assemble(TEXT)


def test_code_constants_variables_and_symbols_are_bound(image):
    code = linking.link(image, SYMBOLS, ["sum", "next", "third"])
    total, step = NUMBER(code.addresses["sum"]), NUMBER(code.addresses["next"])
    third = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code.addresses["third"])
    table = (3, 5, 7, 11)
    for i in range(4):
        assert total(i) == 2 * table[i] + 1_000_000 + 1000 + 10_000 * i
    assert [step(1), step(5), step(-50)] == [101, 106, 56]
    assert third(1.0) == 1.0 * float.fromhex("0x1.5555555555555p-2")


def test_each_loading_has_variables_of_its_own(image):
    one, two = (linking.link(image, SYMBOLS, ["next"]) for _ in range(2))
    first, second = NUMBER(one.addresses["next"]), NUMBER(two.addresses["next"])
    assert first(1) == 101 and second(2) == 102 and first(1) == 102


def test_llvm_loads_the_same(image):
    code = machine.load_by_llvm(image, SYMBOLS, ["sum"])
    assert NUMBER(code.addresses["sum"])(3) == 22 + 1_000_000 + 1000 + 30_000


def test_code_cannot_be_written_and_variables_cannot_be_run(image):
    code = linking.link(image, SYMBOLS, ["sum"])
    with open("/proc/self/maps") as file:
        ranges = [line.split() for line in file]
    at = code.addresses["sum"]
    (rights,) = [
        r[1] for r in ranges if int(r[0].split("-")[0], 16) <= at < int(r[0].split("-")[1], 16)
    ]
    assert rights == "r-xp"
    end = next(
        r[0].split("-")[1]
        for r in ranges
        if int(r[0].split("-")[0], 16) <= at < int(r[0].split("-")[1], 16)
    )
    (behind,) = [r[1] for r in ranges if r[0].startswith(end + "-")]
    assert behind.startswith("rw-")


def test_memory_is_given_back(image):
    def pages():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0])

    for _ in range(20):
        linking.link(image, SYMBOLS, ["sum"])
    gc.collect()
    before = pages()
    for _ in range(500):
        linking.link(image, SYMBOLS, ["sum"])
    gc.collect()
    assert pages() - before < 500


def test_what_is_unknown_is_left_to_llvm(image):
    assert linking.link(image, {"given": 0}, ["sum"]) is None  # `helper` is nowhere
    assert linking.link(image, SYMBOLS, ["sum", "nothing"]) is None
    assert linking.link(b"", {}, []) is None
    assert linking.link(b"\xcf\xfa\xed\xfe" + image[4:], SYMBOLS, ["sum"]) is None
    for place, value in ((4, 1), (5, 2), (16, 2), (18, 183)):  # 32 bits, order, kind, processor
        assert linking.link(changed(image, place, value), SYMBOLS, ["sum"]) is None
    for cut in (10, 63, 100, len(image) // 2, len(image) - 1):
        assert linking.link(image[:cut], SYMBOLS, ["sum"]) is None


def test_unknown_relocations_are_left_to_llvm(image):
    tables = [s for s in linking._sections(image) if s.kind == linking._RELA]
    refused = 0
    for table in tables:
        for at in range(table.at, table.at + table.size, linking._RELOCATION.size):
            (info,) = struct.unpack_from("<Q", image, at + 8)
            if info & 0xFFFFFFFF != linking._WORD:
                continue
            for kind in (9, 10, 11, 26, 41, 250):
                other = bytearray(image)
                struct.pack_into("<Q", other, at + 8, info & ~0xFFFFFFFF | kind)
                refused += linking.link(bytes(other), SYMBOLS, ["sum"]) is None
    assert refused >= 6 and refused % 6 == 0


def test_thread_local_variables_are_left_to_llvm():
    text = """
    @mine = thread_local global i64 5
    define i64 @get() {
      %x = load i64, ptr @mine
      ret i64 %x
    }
    """
    assert linking.link(machine.assemble(text), {}, ["get"]) is None


def changed(image, place, value):
    return image[:place] + bytes([value]) + image[place + 1 :]
