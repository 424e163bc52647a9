// What a customer's site holds: the npm package, loaded with a write key and our address alone.

import { AnalyticsBrowser } from '@segment/analytics-next'

window.startAnalytics = (writeKey, cdnURL, options) => {
  window.analytics = AnalyticsBrowser.load({ writeKey, cdnURL }, options)
}
