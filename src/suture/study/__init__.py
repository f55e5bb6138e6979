"""One YAML file that names models, merges, shots, tasks and margins becomes a graph of content-addressed steps.

schema.py     the study file, every problem at once
build.py      study -> its models and its steps
graph.py      steps, their keys, the order in which two workers finish soonest
store.py      OUT/steps/<kind>-<key>/: finished steps, whole or not there; one run at a time
worker.py     a worker process: one step after another, one thread
runner.py     run(graph, kinds, store): what is finished stays, what fails stops only what needs it
kinds.py      every kind of step and what its version depends on
texts.py      steps that write texts
models.py     steps that make models
scores.py     steps that measure
curves.py     the step of the learning curves
session.py    plan, run, open a study
finished.py   finished steps -> plan, report, links
answers.py    what every model answered to the same prompt
"""
