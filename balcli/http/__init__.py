"""The one way to the network: `door` asks and judges, `transport` carries, `exactjson` reads."""
