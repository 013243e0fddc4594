"""Web: shows the stores and takes orders from people.

In: HTTP requests.
Out: pages, API answers, and orders handed to the service.
Never: decides, enforces, or reads a kernel.
"""
