"""balcli: exact balances from Loopring, KunaCore and VelaFi accounts, on the command line."""

__version__ = "0.1.0"
