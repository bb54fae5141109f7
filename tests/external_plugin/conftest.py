# The distribution has tests of its own, run where it is installed by test_external_plugin.py.
collect_ignore = ["distribution"]
