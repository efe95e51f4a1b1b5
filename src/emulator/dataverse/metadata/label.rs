//! Labels: texts in one language (1033), as the metadata entities wrap them, and back again.

use serde_json::{Value, json};

const LANGUAGE: u32 = 1033;

/// A text as a `Label`.
pub fn write(text: &str) -> Value {
    let label = json!({
        "Label": text,
        "LanguageCode": LANGUAGE,
        "IsManaged": false,
        "MetadataId": uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()),
        "HasChanged": null,
    });
    json!({ "LocalizedLabels": [label.clone()], "UserLocalizedLabel": label })
}

/// A label without a text.
pub fn none() -> Value {
    json!({ "LocalizedLabels": [], "UserLocalizedLabel": null })
}

/// The text of a `Label` in our language, or else in the first it has.
pub fn read(label: &Value) -> Option<String> {
    let labels = label.get("LocalizedLabels")?.as_array()?;
    let ours =
        |one: &&Value| one.get("LanguageCode").and_then(Value::as_u64) == Some(LANGUAGE.into());
    let chosen = labels.iter().find(ours).or_else(|| labels.first())?;
    chosen.get("Label")?.as_str().map(str::to_owned)
}

/// A property that a solution may lock: its value and that it is not locked.
pub fn managed(value: bool, name: &str) -> Value {
    json!({ "Value": value, "CanBeChanged": true, "ManagedPropertyLogicalName": name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_comes_back_in_our_language() {
        assert_eq!(read(&write("Størrelse")).as_deref(), Some("Størrelse"));
        let two = json!({ "LocalizedLabels": [
            { "Label": "Taille", "LanguageCode": 1036 }, { "Label": "Size", "LanguageCode": 1033 }
        ]});
        assert_eq!(read(&two).as_deref(), Some("Size"));
        assert_eq!(read(&none()), None);
        assert_eq!(read(&json!("Size")), None);
    }
}
