"""The tools Penstock can send to, one package each."""
