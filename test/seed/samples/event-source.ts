// @ts-nocheck: as users have it, whose projects may allow what is unused.
// biome-ignore-all lint/correctness/noUnusedFunctionParameters: as users have it
function createEventStream(url: string) {
  const eventSource = new EventSource(url);
  let buffer = "";

  return {
    onToken: (callback: (content: string) => void) => {
      eventSource.addEventListener("token", (e) => {
        const { content } = JSON.parse(e.data);
        buffer += content;
        callback(content);
      });
    },

    onDone: (callback: (fullResponse: string) => void) => {
      eventSource.addEventListener("done", () => {
        callback(buffer);
        eventSource.close();
      });
    },

    onError: (callback: (error: Error) => void) => {
      eventSource.addEventListener("error", (e) => {
        callback(new Error("Stream error"));
        eventSource.close();
      });
    },

    close: () => eventSource.close(),
  };
}

// Usage
const stream = createEventStream("/api/chat/stream?message=Hello");
stream.onToken((content) => updateUI(content));
stream.onDone((full) => console.log("Complete:", full));
stream.onError((err) => console.error(err));
