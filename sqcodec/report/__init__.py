"""Results for readers: tables as text and as Markdown, and the page to listen to."""
