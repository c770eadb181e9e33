import { createEventStream } from "everstream/client";

// Usage
const stream = createEventStream("/api/chat/stream?message=Hello");
stream.onToken((content) => updateUI(content));
stream.onDone((full) => console.log("Complete:", full));
stream.onError((err) => console.error(err));
