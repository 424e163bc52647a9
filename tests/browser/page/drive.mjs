// Drives headless Chromium through the steps given as one line of JSON on standard input:
//   {"chromium", "collector", "writeKey", "options", "steps": [[step, …arguments], …]}
// prints one line, {"anonymousId", "userAgent", "requests": [...], "errors": [text]}, and keeps the
// browser open, so that what it still has to send can go out, until standard input is closed.

import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const STEP_LIMIT_MS = 120_000
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-proxy-server',
  // Nothing but this machine can be reached, and an attempt shows as a failed request at once.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
]

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const order = JSON.parse((await input.next()).value)

const browser = await chromium.launch({
  executablePath: order.chromium,
  args: FLAGS,
  timeout: STEP_LIMIT_MS,
})
try {
  const report = await drive(await browser.newContext())
  console.log(JSON.stringify(report))
  await input.next()
} finally {
  await browser.close()
}

async function drive(context) {
  const report = { anonymousId: null, userAgent: null, requests: [], errors: [] }
  context.setDefaultTimeout(STEP_LIMIT_MS)
  let page = await watchedPage(context, report)
  let release = null

  const steps = {
    // Open a page of the shop and load the SDK in it.
    async open(url) {
      await page.goto(url)
      await page.evaluate(
        ([writeKey, cdnURL, options]) => window.startAnalytics(writeKey, cdnURL, options),
        [order.writeKey, order.collector, order.options],
      )
    },
    // Call the SDK, and wait until it says that the event was handled.
    async call(method, ...args) {
      await page.evaluate(([name, values]) => window.analytics[name](...values).then(() => {}), [
        method,
        args,
      ])
    },
    // Make the same call with each of these properties, all at once.
    async callEach(method, event, each) {
      await page.evaluate(
        ([name, what, values]) =>
          Promise.all(values.map((value) => window.analytics[name](what, value))).then(() => {}),
        [method, event, each],
      )
    },
    // Wait until this many events were answered.
    async answered(count) {
      await until(() => answeredEvents(report) >= count, `${count} events answered`)
    },
    // Call the SDK, let the event reach the collector, and keep the answer from the page.
    async callUnanswered(method, ...args) {
      const session = await context.newCDPSession(page)
      const held = new Promise((resolve) => {
        session.on('Fetch.requestPaused', ({ requestId, request }) => {
          if (request.method === 'POST') resolve()
          else session.send('Fetch.continueRequest', { requestId })
        })
      })
      await session.send('Fetch.enable', {
        patterns: [{ urlPattern: `${order.collector}/*`, requestStage: 'Response' }],
      })
      await page.evaluate(([name, values]) => void window.analytics[name](...values), [method, args])
      await held
      release = () => session.detach()
    },
    // Put a clock into the next pages that `pass` can turn on.
    async fakeTime() {
      await page.clock.install()
    },
    // Let time pass in the page, firing its timers.
    async pass(milliseconds) {
      await page.clock.runFor(milliseconds)
    },
    // Follow a link.
    async leave(url) {
      await page.goto(url)
      await release?.()
    },
    // Close the tab, as a person does; a new one takes its place.
    async close() {
      const closed = page.waitForEvent('close')
      await page.close({ runBeforeUnload: true })
      await closed
      page = await watchedPage(context, report)
    },
    // Put the tab in the background ('hidden') or bring it back ('visible').
    async turn(state) {
      await page.evaluate((value) => {
        Object.defineProperty(document, 'visibilityState', { value, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, state)
    },
    // Remember who the SDK says this is.
    async who() {
      report.userAgent = await page.evaluate(() => navigator.userAgent)
      report.anonymousId = await page.evaluate(async () =>
        (await window.analytics.user()).anonymousId(),
      )
    },
  }
  for (const [step, ...args] of order.steps) {
    try {
      await steps[step](...args)
    } catch (error) {
      throw new Error(`step ${step}: ${JSON.stringify(report, null, 1)}`, { cause: error })
    }
  }
  return report
}

// Open a page and record every request that Chromium makes for it, CORS preflights included.
async function watchedPage(context, report) {
  const page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error') report.errors.push(message.text())
  })
  page.on('pageerror', (error) => report.errors.push(String(error)))
  const session = await context.newCDPSession(page)
  const known = new Map()
  session.on('Network.requestWillBeSent', ({ requestId, type, request }) => {
    const entry = {
      type,
      method: request.method,
      url: request.url,
      body: request.postData ?? null,
      status: null,
      failure: null,
    }
    known.set(requestId, entry)
    if (!request.url.startsWith('data:')) report.requests.push(entry)
  })
  session.on('Network.responseReceived', ({ requestId, response }) => {
    if (known.has(requestId)) known.get(requestId).status = response.status
  })
  session.on('Network.loadingFailed', ({ requestId, errorText }) => {
    if (known.has(requestId)) known.get(requestId).failure = errorText
  })
  await session.send('Network.enable')
  return page
}

function answeredEvents(report) {
  return report.requests
    .filter(({ method, status }) => method === 'POST' && status !== null)
    .map(({ body }) => JSON.parse(body).batch?.length ?? 1)
    .reduce((sum, events) => sum + events, 0)
}

async function until(condition, what) {
  const deadline = Date.now() + STEP_LIMIT_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${STEP_LIMIT_MS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
