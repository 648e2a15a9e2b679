"""A local server that answers like the ConnectWise PSA REST API.

Driven by the reference file: an operation added there is served here. Behaviour that schemas cannot
tell (board statuses, note sections, merging, …) sits in the module named for it, hooked up in
`behaviour.py`. Imports neither Django nor the host.
"""
