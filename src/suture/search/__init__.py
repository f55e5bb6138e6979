"""The search for coefficients: a space of recipes, a race of candidates on a development split, one look at the test.

space        SPACE.yaml: what varies, by what it is judged, how much may be read
candidates   points of a space as recipes of the engine
race         which candidates get more items, and which are ruled out at a stated confidence
"""
