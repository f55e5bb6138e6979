"""Merge methods: one small file each, declared by a MethodInfo, in one of three shapes.

    parameters.py   Parameter: one constraint, which prints itself in errors and help
    shapes.py       MethodInfo, the three shapes, and the steps that they may call
    gram.py         Gram: what a span method sees of its inputs
    derived.py      the passes and the whole-tensor function that follow from a shape
    selection.py    exact selection of the largest elements, streamed
    task_vectors.py the family of the task vector: drop, rescale, elect, sum
    trimming.py     what ties and breadcrumbs keep
    presets.py      named merges that are linear or task arithmetic
    registry.py     the methods by name
    contrib/        methods beyond the field's habit, loaded as plug-ins are

A new method is one new file in this folder that calls `register`, or a module that a plug-in names in the entry-point
group "suture.methods".
"""
