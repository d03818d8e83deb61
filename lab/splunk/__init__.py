"""A receiver that speaks Splunk's HTTP Event Collector protocol (HEC), as a stand-in: no real Splunk can be had here.

It is strict where real collectors are lenient, so that a client that passes here has sent what the documentation asks
for. Every behaviour names where it is from, a `Page` of `lab.splunk.codes`. Where the documentation says nothing, what
others measured on Splunk Enterprise 10.4 and published is followed (`Page.OBSERVED`), and where there is not even that,
the code says so. The texts of the status codes are the documentation's.
"""
