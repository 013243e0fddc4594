"""The sub-commands of `ringfence`, grouped by what a person wants done.

In: arguments and configuration. Out: words or JSON on standard output, an exit code. Never: logic of its own.
"""
