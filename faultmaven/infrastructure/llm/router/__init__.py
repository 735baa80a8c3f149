"""Who answers a request: pure rules over names; nothing here asks anybody."""
