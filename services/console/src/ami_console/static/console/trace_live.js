// A trace of a request that is not at its end is drawn anew when it is.
import { live } from "./live.js";

const messageId = decodeURIComponent(location.pathname.slice("/traces/".length));

live((frame) => {
  if (!document.documentElement.dataset.running) return;
  if (frame.requests.some((one) => one.message_id === messageId && one.answered_at)) location.reload();
}, () => {});
