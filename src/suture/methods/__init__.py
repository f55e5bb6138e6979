"""Merge methods: one small file each, declared by a MethodInfo, in one of three shapes."""
