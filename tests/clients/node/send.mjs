// Sends with the unmodified Node SDK what the JSON on standard input asks for:
//   {"writeKey", "host", "settings", "calls": [[method, message], …]}
// and prints {"requests": [{"status", "events", "retry"}], "errors": [text], "milliseconds"}.
// A value {"$date": text} in a message becomes a Date.

import { Analytics } from '@segment/analytics-node'

const withDates = (_key, value) =>
  value !== null && typeof value === 'object' && '$date' in value ? new Date(value.$date) : value

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const order = JSON.parse(Buffer.concat(chunks).toString('utf8'), withDates)

const started = Date.now()
const requests = []
const errors = []
const analytics = new Analytics({
  writeKey: order.writeKey,
  host: order.host,
  httpRequestTimeout: 60_000,
  ...order.settings,
})
analytics.on('http_request', ({ body, headers }) => {
  requests.push({
    status: null,
    events: JSON.parse(body).batch.length,
    retry: headers['X-Retry-Count'] ?? null,
  })
})
analytics.on('http_response', ({ status }) => {
  requests.findLast((request) => request.status === null).status = status
})
analytics.on('error', ({ reason }) => errors.push(String(reason)))

for (const [method, message] of order.calls) analytics[method](message)
await analytics.closeAndFlush()

console.log(JSON.stringify({ requests, errors, milliseconds: Date.now() - started }))
