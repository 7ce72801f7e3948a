"""HTTP: `client` decides what is sent and what counts as a response, `transport` sends, `strictjson` decodes."""
