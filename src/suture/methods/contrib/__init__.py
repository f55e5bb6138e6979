"""Methods beyond the field's habit, loaded by the entry-point group "suture.methods" as anyone's plug-in is.

    arrays.py     what they share: numpy or torch by the arrays given, double precision, sums that keep bits
    consensus.py  TALL masks
    fisher.py     Fisher-weighted mean
    tsv.py        task singular vectors
    iso_c.py      isotropic merging in the common subspace
    iso_cts.py    the same with task-specific directions
    knots.py      TIES in a shared basis
    wudi.py       least interference between task vectors
    regmean.py    least change of the layers' outputs on data
    aim.py        task arithmetic held back where the base's activations are large

Each says in its declaration which study shows a gain.
"""
