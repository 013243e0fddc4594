// @ts-check
// A stream of the server, open only while the page is visible: over HTTP/1.1 a browser opens six connections to a host,
// so that a handful of hidden windows would block the site for all of them.

const LOST = "connection lost, trying again";
const OVER = "not live: the server refused the stream; reload to try again";

/**
 * Follow a stream. `told` gets "live", or in words why it is not; what came while the page was hidden comes afterwards.
 * @param {string} url
 * @param {Record<string, (event: MessageEvent) => void>} events
 * @param {(state: string, over: boolean) => void} told `over`: it will not come back by itself
 * @param {string} [last] the id of the newest event that the page knows
 * @returns {() => void} ends it
 */
export function follow(url, events, told, last = "") {
  /** @type {EventSource|null} */
  let source = null;

  function open() {
    const address = new URL(url, location.href);
    if (last) address.searchParams.set("after", last);
    const opened = (source = new EventSource(address));
    /** @type {Record<string, (event: MessageEvent) => void>} */
    const acts = { hello: () => told("live", false), ...events };
    for (const [name, act] of Object.entries(acts)) {
      opened.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        act(/** @type {MessageEvent} */ (event));
      });
    }
    opened.addEventListener("full", (event) => end(/** @type {MessageEvent} */ (event).data));
    // A browser gives up by itself when the answer is an error or the login page instead of a stream.
    opened.onerror = () => (opened.readyState === EventSource.CLOSED ? end(OVER) : told(LOST, false));
  }

  function shut() {
    source?.close();
    source = null;
  }

  function turn() {
    if (document.hidden) shut();
    else if (!source) open();
  }

  /** @param {string} [why] */
  function end(why) {
    shut();
    document.removeEventListener("visibilitychange", turn);
    removeEventListener("pagehide", shut);
    if (why) told(why, true);
  }

  document.addEventListener("visibilitychange", turn);
  addEventListener("pagehide", shut);
  turn();
  return () => end();
}
