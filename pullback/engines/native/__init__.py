"""The native engine: programs of small and medium arrays become machine code, through LLVM.

`program` writes a program as LLVM text, `machine` turns text into code in memory, `entry` makes it
a function that Python calls. Nothing here is imported before the first program is compiled.
"""
