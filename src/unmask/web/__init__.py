"""The service: drop a clip, see the verdict, keep the history. `unmask.web.app` puts its parts together."""
