"""One YAML file that names models, merges, shots, tasks and margins becomes a graph of content-addressed steps.

graph.py     steps, their keys, the order in which two workers finish soonest
store.py     OUT/steps/<kind>-<key>/: finished steps, whole or not there; one run at a time
worker.py    a worker process: one step after another, one thread
runner.py    run(graph, kinds, store): what is finished stays, what fails stops only what needs it
schema.py    the study file
"""
