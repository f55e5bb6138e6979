"""Merge methods: one small file each, declared by a MethodInfo, in one of three shapes.

    parameters.py   Parameter: one constraint, which prints itself in errors and help
    shapes.py       MethodInfo, the three shapes, and the steps that they may call
    gram.py         Gram: what a span method sees of its inputs
    registry.py     the methods by name, and the whole-tensor function of each

A new method is one new file in this folder that calls `register`, or a module that a plug-in names in the entry-point
group "suture.methods".
"""
