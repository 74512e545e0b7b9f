// The page: see docs/reference/service.md for what the service offers.
