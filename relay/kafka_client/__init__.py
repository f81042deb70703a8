"""What every client of Kafka here has in common: how it is set up, and what its errors mean.

- `policy`: where the cluster is and how to get in, as plain values
- `options`: policy → the options of an aiokafka client
- `security`: certificates and logins → an `ssl.SSLContext`, a source of OAuth tokens
- `errors`: aiokafka's exceptions → ours, in one place
- `reach`: is there a cluster, and does it let us in? Why not?
- `fresh`: credentials that change while a client lives
- `build`: what the installed client can do: codecs, compiled parser
"""
