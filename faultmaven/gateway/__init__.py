"""The gateway: an HTTP server that speaks several APIs to clients and every dialect to providers.

`app` decides, `fronts` are the APIs, `relay` and `translate` are the two ways to a provider, `server`
is what listens.
"""
