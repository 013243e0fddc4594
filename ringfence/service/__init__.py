"""The running service: carries values between the packages, which do not know each other.

In: configuration. Out: threads that see, judge, store, enforce, respond and account. Never: decides or decodes
anything itself.
"""
